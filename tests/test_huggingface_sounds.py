"""Encoders of sounds of transformers: equal to the library itself, cut, saved and opened again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sounds import chirps, encoded, tones
from torch import nn

import headstart as hs
from headstart import catalog
from headstart.contracts import Backbone
from headstart.testing import check_part

transformers = pytest.importorskip("transformers", reason="needs the extra text")
_SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
_WAVE = {
    **_SMALL,
    "intermediate_size": 24,
    "conv_dim": (8, 8, 8),
    "conv_kernel": (10, 8, 4),
    "conv_stride": (5, 8, 4),
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
    "num_feat_extract_layers": 3,
}


def wave(kind: str, **more: Any) -> tuple[Any, Any]:
    extractor = transformers.Wav2Vec2FeatureExtractor(do_normalize=True)
    config = getattr(transformers, f"{kind}Config")(**_WAVE, **more)
    return getattr(transformers, f"{kind}Model")(config), extractor


def spectrogram_transformer() -> tuple[Any, Any]:
    sides = {"max_length": 64, "num_mel_bins": 32}
    config = transformers.ASTConfig(**_SMALL, intermediate_size=24, patch_size=8, **sides)
    extractor = transformers.ASTFeatureExtractor(**sides)
    return transformers.ASTModel(config), extractor


def whisper() -> tuple[Any, Any]:
    config = transformers.WhisperConfig(
        d_model=16,
        encoder_layers=2,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=24,
        decoder_ffn_dim=24,
        num_mel_bins=80,
        max_source_positions=50,
        vocab_size=64,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=1,
    )
    extractor = transformers.WhisperFeatureExtractor(feature_size=80, chunk_length=1)
    return transformers.WhisperModel(config), extractor


def clap() -> tuple[Any, Any]:
    audio = {
        "window_size": 4,
        "num_mel_bins": 16,
        "spec_size": 64,
        "patch_size": 4,
        "patch_stride": [4, 4],
        "hidden_size": 16,
        "patch_embeds_hidden_size": 8,
        "depths": [1, 1],
        "num_attention_heads": [2, 2],
        "num_hidden_layers": 2,
        "enable_fusion": False,
        "projection_dim": 8,
    }
    text = {**_SMALL, "intermediate_size": 24, "vocab_size": 32, "projection_dim": 8}
    config = transformers.ClapConfig(text_config=text, audio_config=audio, projection_dim=8)
    extractor = transformers.ClapFeatureExtractor(
        feature_size=16,
        max_length_s=1,
        sampling_rate=16_000,
        frequency_max=8_000,
        truncation="rand_trunc",
    )
    return transformers.ClapModel(config), extractor


KINDS = {
    "wav2vec2": lambda: wave("Wav2Vec2"),
    "wav2vec2-stable": lambda: wave(
        "Wav2Vec2", do_stable_layer_norm=True, feat_extract_norm="layer"
    ),
    "hubert": lambda: wave("Hubert"),
    "wavlm": lambda: wave("WavLM"),
    "ast": spectrogram_transformer,
    "whisper": whisper,
    "clap": clap,
}


@pytest.fixture
def saved(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Any, Any]:
    torch.manual_seed(0)
    model, extractor = KINDS[request.param]()
    folder = tmp_path / request.param
    model.eval().save_pretrained(folder)
    extractor.save_pretrained(folder)
    return folder, model, extractor


def features(backbone: Backbone, samples: np.ndarray) -> np.ndarray:
    modality = catalog.modality("audio")
    item = modality.decode(encoded(samples, subtype="FLOAT"), backbone.preprocess)
    network = nn.Sequential(*backbone.stages.values()).eval()
    with torch.no_grad():
        model: torch.Tensor = network(modality.collate([item], backbone.preprocess))
    return np.asarray(model[0].numpy())


def theirs(model: Any, extractor: Any, samples: np.ndarray, rate: int) -> np.ndarray:
    """The library's own features of one clip, by its own extractor."""
    with torch.no_grad():
        if isinstance(model, transformers.WhisperModel):
            fed = extractor(samples, sampling_rate=rate, return_tensors="pt")
            hidden = model.encoder(fed["input_features"]).last_hidden_state
            return np.asarray(hidden.mean(1)[0].numpy())
        fed = extractor(samples, sampling_rate=rate, return_tensors="pt")
        fed.pop("is_longer", None)
        tower = isinstance(model, transformers.ClapModel)
        answer = model.audio_model(**fed) if tower else model(**fed)
    pooled = tower or isinstance(model, transformers.ASTModel)
    result = answer.pooler_output if pooled else answer.last_hidden_state.mean(1)
    return np.asarray(result[0].numpy())


@pytest.mark.parametrize("saved", KINDS, indirect=True)
def test_features_are_the_librarys_own(saved: tuple[Path, Any, Any]) -> None:
    folder, model, extractor = saved
    backbone = catalog.load_backbone(f"hf:{folder}")
    fed = backbone.preprocess
    samples = chirps(3, 12.0)[: fed["window"]]
    expected = theirs(model, extractor, samples, fed["rate"])
    rows = features(backbone, samples)
    np.testing.assert_allclose(rows, expected, atol=1e-3 * np.abs(expected).max())


@pytest.mark.parametrize("saved", ["wav2vec2", "ast"], indirect=True)
def test_it_keeps_the_contract_of_hubs(
    saved: tuple[Path, Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(saved[0].parent)
    check_part("hubs", "hf", example=f"hf:{saved[0].name}")


@pytest.mark.parametrize("saved", ["hubert"], indirect=True)
def test_a_middle_layer_answers_alone(saved: tuple[Path, Any, Any]) -> None:
    folder, model, extractor = saved
    backbone = catalog.load_backbone(f"hf:{folder}?layer=layer 0")
    assert list(backbone.stages) == ["embeddings", "layer 0"]
    samples = chirps(5)[: backbone.preprocess["window"]]
    fed = extractor(samples, sampling_rate=16_000, return_tensors="pt")
    with torch.no_grad():
        expected = model(**fed, output_hidden_states=True).hidden_states[1].mean(1)[0].numpy()
    np.testing.assert_allclose(features(backbone, samples), expected, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("saved", ["wav2vec2"], indirect=True)
def test_a_model_is_made_and_opened_again(saved: tuple[Path, Any, Any], tmp_path: Path) -> None:
    data = tones(tmp_path / "tones", 8)
    hs.fit(
        data,
        f"hf:{saved[0]}?window=0.5",
        tmp_path / "model",
        evidence="none",
        scratch=False,
        epochs=1,
    )
    answers = hs.load(tmp_path / "model").predict([data / "low" / "anna_00.wav"])
    assert answers[0].label in ("low", "high")
