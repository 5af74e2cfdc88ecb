"""Spectrograms next to those of the libraries that networks were trained with."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from sounds import chirps

from headstart.errors import HeadstartError, UnknownNameError
from headstart.loading.sounds.log_mel import LogMel
from headstart.loading.sounds.mel import MelRecipe, filters, log_mel, taper
from headstart.loading.sounds.presets import PRESETS, at_rate, recipe

transformers = pytest.importorskip("transformers", reason="needs the extra text")
RECIPES = {
    **PRESETS,
    "kaldi": MelRecipe(
        *(16_000, 512, 400, 160, 128, 20.0, 8_000.0),
        scale="kaldi",
        power=2,
        window="symmetric-hann",
        level=True,
        emphasis=0.97,
        offset=0.0,
        floor=1.192092955078125e-07,
    ),
    "decibel": replace(PRESETS["whisper"], logarithm="decibel", fft=512, frame=400),
}


@pytest.mark.parametrize("name", RECIPES)
def test_numpy_and_torch_agree(name: str) -> None:
    own = RECIPES[name]
    samples = chirps(0)[:12_000]
    values = LogMel(own)(torch.from_numpy(samples)[None])[0].numpy()
    expected = log_mel(samples, own)
    assert values.shape == expected.shape == (own.frames(len(samples)), own.cepstra or own.bands)
    np.testing.assert_allclose(values, expected, atol=2e-3)
    assert np.abs(values - expected).mean() < 1e-4


@pytest.mark.parametrize("scale", ["htk", "slaney", "kaldi"])
@pytest.mark.parametrize("even", [False, True])
def test_filters_are_those_of_transformers(scale: str, even: bool) -> None:
    from transformers.audio_utils import mel_filter_bank

    own = MelRecipe(scale=scale, even=even, low=20.0, bands=40)
    theirs = mel_filter_bank(
        num_frequency_bins=own.fft // 2 + 1,
        num_mel_filters=own.bands,
        min_frequency=own.low,
        max_frequency=own.high,
        sampling_rate=own.rate,
        norm="slaney" if even else None,
        mel_scale=scale,
        triangularize_in_mel_space=scale == "kaldi",
    )
    if scale == "kaldi" and even:
        pytest.skip("their areas are counted in Hz there")
    np.testing.assert_allclose(filters(own), theirs, atol=1e-6)


def test_whispers_spectrogram_is_its_extractors() -> None:
    extractor = transformers.WhisperFeatureExtractor(feature_size=80)
    samples = chirps(1)
    theirs: Any = extractor(samples, sampling_rate=16_000, padding=False, return_tensors="np")
    bands = LogMel(PRESETS["whisper"])(torch.from_numpy(samples)[None])[0].numpy()[:-1].T
    own = (np.maximum(bands, bands.max() - 8) + 4) / 4
    np.testing.assert_allclose(own, theirs["input_features"][0], atol=1e-4)


def test_kaldis_spectrogram_is_that_of_transformers() -> None:
    from transformers.audio_utils import spectrogram, window_function

    own = RECIPES["kaldi"]
    samples = chirps(2)
    window = window_function(own.frame, "hann", periodic=False)
    np.testing.assert_allclose(taper(own), window, atol=1e-12)
    theirs = spectrogram(
        samples * 2.0**15,
        window,
        frame_length=own.frame,
        hop_length=own.hop,
        fft_length=own.fft,
        power=2.0,
        center=False,
        preemphasis=own.emphasis,
        mel_filters=filters(own),
        log_mel="log",
        mel_floor=own.floor,
        remove_dc_offset=True,
    ).T
    values = LogMel(own)(torch.from_numpy(samples * np.float32(2**15))[None])[0].numpy()
    np.testing.assert_allclose(values, theirs, atol=2e-3)
    assert np.abs(values - theirs).mean() < 1e-4


def test_a_tone_is_loudest_in_its_band() -> None:
    own = PRESETS["log-mel"]
    moments = np.arange(16_000) / 16_000
    for hertz in (300, 1_000, 4_000):
        bands = log_mel(np.sin(2 * np.pi * hertz * moments).astype(np.float32), own)
        middle = np.linspace(0, 8_000, 257)[filters(own).argmax(axis=0)]
        assert abs(middle[bands.mean(axis=0).argmax()] - hertz) < 0.08 * hertz + 32


def test_recipes_change_and_are_refused_in_a_sentence() -> None:
    changed = recipe("yamnet", "bands:128,high:6000", 16_000, "graph:x")
    assert (changed.bands, changed.high) == (128, 6_000.0)
    half = at_rate(PRESETS["log-mel"], 8_000)
    assert (half.frame, half.hop, half.high) == (200, 80, 4_000.0)
    with pytest.raises(UnknownNameError, match="nosuch"):
        recipe("nosuch", "", 16_000, "graph:x")
    for wrong in ("bands:0", "high:9000", "scale:bark", "hop:0", "bands:many", "nothing:1"):
        with pytest.raises(HeadstartError):
            recipe("log-mel", wrong, 16_000, "graph:x")
