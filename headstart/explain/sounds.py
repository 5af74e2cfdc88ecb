"""Where in a sound the evidence lies, in time and in pitch: by occlusion."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import numpy as np
import torch
from torch import Tensor

from headstart.data import Item
from headstart.errors import HeadstartError
from headstart.explain.answers import Output, PictureExplanation
from headstart.features.engine import to_device
from headstart.loading.sounds.mel import MelRecipe, log_mel, picture_of
from headstart.loading.sounds.presets import at_rate
from headstart.serve import Predictor

_TIMES, _PITCHES = 12, 4  # parts that a sound, and what can be heard, are cut into
_MOST: Final = 8  # windows that are looked at
_AT_ONCE: Final = 8  # occluded sounds in a batch
_FFT: Final = 512


def explain_sound(predictor: Predictor, name: str, item: Item) -> PictureExplanation:
    """A heat map over one sound's spectrogram, for the output that `Output.of` picks.

    Occlusion (Zeiler and Fergus 2014): part after part of the windows, in time and in four bands of
    pitch, is silenced, and the heat is what that costs, divided by its largest value; 0 all over
    where nothing speaks for the output. Of a long sound the first eight windows are looked at.
    Raises HeadstartError for items that are no sounds.
    """
    reader, fed = predictor.reader, predictor.reader.preprocess
    view = np.asarray(reader.decode(item))[:_MOST]
    if view.ndim != 2 or "rate" not in fed:
        raise HeadstartError(f"{name} can't be explained: it is no sound. Leave --explain out.")
    samples = torch.from_numpy(view)
    question = Output.of(predictor, _answers(predictor, samples[None]))
    heat = _occlusion(predictor, samples, question.place, int(fed["rate"]))
    heat = np.maximum(heat, 0)
    heat = heat / heat.max() if heat.max() > 0 else heat
    mel = at_rate(MelRecipe(), int(fed["rate"]))
    bands = log_mel(view.reshape(-1) / float(fed.get("scale", 1.0)), mel)
    picture = picture_of(bands)
    rows = np.arange(picture.shape[0]) * _PITCHES // picture.shape[0]
    columns = np.arange(picture.shape[1]) * heat.shape[1] // picture.shape[1]
    method = f"Occlusion of {heat.shape[1]} parts in time by {_PITCHES} in pitch, high ones above."
    large = heat[::-1][rows][:, columns]
    return PictureExplanation(name, question, method, large, picture)


def _answers(predictor: Predictor, sounds: Tensor) -> Tensor:
    """Outputs (N, labels) for sounds (N, T, window)."""
    mask = torch.ones(sounds.shape[:2], dtype=torch.int64)
    batch = to_device({"hidden": sounds, "mask": mask}, predictor.device)
    with torch.no_grad():
        answers: Tensor = predictor.model(batch)
    return answers


def _occlusion(predictor: Predictor, samples: Tensor, place: int, rate: int) -> np.ndarray:
    """What silencing each part costs, (pitches, times), low ones first."""
    windows, length = samples.shape
    times = max(2, _TIMES // windows)
    taper = torch.hann_window(_FFT)
    spectrum = torch.stft(samples, _FFT, window=taper, return_complex=True)  # (T, bins, frames)
    usual = float(_answers(predictor, samples[None])[0, place])
    ends = _edges(rate)
    changed, costs = [], []
    for window in range(windows):
        for start in range(times):
            first, last = (spectrum.shape[2] * n // times for n in (start, start + 1))
            for low, high in pairwise(ends):
                part = spectrum.clone()
                part[window, low:high, first:last] = 0
                changed.append(torch.istft(part, _FFT, window=taper, length=length))
    for start in range(0, len(changed), _AT_ONCE):
        outputs = _answers(predictor, torch.stack(changed[start : start + _AT_ONCE]))
        costs += [usual - value for value in outputs[:, place].tolist()]
    return np.array(costs).reshape(windows * times, _PITCHES).T


def _edges(rate: int) -> list[int]:
    """The bins between which bands of pitch lie, evenly on the mel scale."""
    top = 1127 * np.log1p(rate / 2 / 700)
    hertz = 700 * np.expm1(np.linspace(0, top, _PITCHES + 1) / 1127)
    bins = np.round(hertz / (rate / 2) * (_FFT // 2)).astype(int).tolist()
    return [*bins[:-1], _FFT // 2 + 1]
