"""Mel spectrograms by the recipe of their source; in NumPy, for what needs no network."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, final

import numpy as np

from headstart.errors import HeadstartError

SCALES: Final = ("htk", "slaney", "kaldi")
WINDOWS: Final = ("hann", "symmetric-hann", "hamming", "povey")
LOGARITHMS: Final = ("natural", "decimal", "decibel")
_LINEAR, _KNEE, _STEP = 200 / 3, 1000.0, math.log(6.4) / 27  # of Slaney's scale
_BLOCK: Final = 1024  # frames that are transformed at once


@final
@dataclass(frozen=True)
class MelRecipe:
    """All that a spectrogram depends on; `frame`, `hop` and `fft` count samples, edges are in Hz.

    `scale` is how bands are spaced: by O'Shaughnessy's formula with triangles over Hz ("htk") or
    over mel ("kaldi"), or by Slaney's Auditory Toolbox; `even` bands have one area instead of one
    height. `centred` frames lie around multiples of the hop, the ends mirrored. Before the
    logarithm `offset` is added and `floor` is the least. `emphasis` and `level` are Kaldi's: the
    pre-emphasis of a frame, and whether its mean is taken off. With `cepstra` above 0 that many
    coefficients of a cosine transform stand in the place of the bands.
    """

    rate: int = 16_000
    fft: int = 512
    frame: int = 400
    hop: int = 160
    bands: int = 64
    low: float = 125.0
    high: float = 7_500.0
    scale: str = "htk"
    even: bool = False
    power: int = 1
    window: str = "hann"
    centred: bool = False
    logarithm: str = "natural"
    offset: float = 0.001
    floor: float = 0.0
    emphasis: float = 0.0
    level: bool = False
    cepstra: int = 0

    def checked(self, what: object) -> MelRecipe:
        """Itself. Raises HeadstartError for what no spectrogram can have."""
        words = {"scale": SCALES, "window": WINDOWS, "logarithm": LOGARITHMS}
        wrong = [
            f"{n}={getattr(self, n)}" for n, all_ in words.items() if getattr(self, n) not in all_
        ]
        sound = (
            1 <= self.hop <= 1 << 20
            and 2 <= self.frame <= self.fft <= 1 << 16
            and 1 <= self.bands <= 1024
            and 0 <= self.low < self.high <= self.rate / 2
            and 0 <= self.cepstra <= self.bands
            and (self.offset > 0 or self.floor > 0)
        )
        if wrong or not sound:
            raise HeadstartError(
                f"{what} has a spectrogram that can't be{f' ({wrong[0]})' if wrong else ''}. Give "
                "bands, a hop and a frame above 0, a frame within the fft, and low below high."
            )
        return self

    def frames(self, samples: int) -> int:
        """How many frames so many samples have."""
        reach = samples + (self.fft if self.centred else 0)
        return max(0, 1 + (reach - (self.fft if self.centred else self.frame)) // self.hop)

    @classmethod
    def of(cls, entries: Mapping[str, Any]) -> MelRecipe:
        """The recipe with these entries; others are passed over."""
        own = {each.name for each in fields(cls)}
        return cls(**{name: value for name, value in entries.items() if name in own})


def taper(recipe: MelRecipe) -> np.ndarray:
    """What each sample of a frame is multiplied by, (frame,) float64."""
    periodic = recipe.window in ("hann", "hamming") and recipe.scale != "kaldi"
    steps = recipe.frame if periodic else recipe.frame - 1
    wave = np.cos(2 * np.pi * np.arange(recipe.frame) / steps)
    if recipe.window == "hamming":
        return np.asarray(0.54 - 0.46 * wave)
    return np.asarray((0.5 - 0.5 * wave) ** (0.85 if recipe.window == "povey" else 1.0))


def filters(recipe: MelRecipe) -> np.ndarray:
    """How much of each bin of the transform a band takes, (bins, bands) float64.

    The scales are those of HTK and Kaldi (O'Shaughnessy 1987) and of Slaney's Auditory Toolbox
    (1998).
    """
    bins = np.linspace(0, recipe.rate / 2, recipe.fft // 2 + 1)
    edges = np.linspace(
        _mel(np.array(recipe.low), recipe.scale),
        _mel(np.array(recipe.high), recipe.scale),
        recipe.bands + 2,
    )
    places = _mel(bins, recipe.scale) if recipe.scale == "kaldi" else bins
    corners = edges if recipe.scale == "kaldi" else _hertz(edges, recipe.scale)
    rising = (places[:, None] - corners[:-2]) / np.diff(corners)[:-1]
    falling = (corners[2:] - places[:, None]) / np.diff(corners)[1:]
    weights = np.maximum(0, np.minimum(rising, falling))
    return np.asarray(weights * (2 / (corners[2:] - corners[:-2])) if recipe.even else weights)


def cosines(recipe: MelRecipe) -> np.ndarray:
    """The cosine transform of the bands (Davis and Mermelstein 1980), (bands, cepstra)."""
    places = (np.arange(recipe.bands)[:, None] + 0.5) * np.arange(recipe.cepstra)
    return np.asarray(np.cos(np.pi / recipe.bands * places) * (2 / recipe.bands) ** 0.5)


def log_mel(samples: np.ndarray, recipe: MelRecipe) -> np.ndarray:
    """The spectrogram of samples (S,): (frames, bands) float32; short ones are filled with 0."""
    count = len(samples)
    if recipe.centred:
        samples = np.pad(samples, recipe.fft // 2, mode="reflect" if len(samples) > 1 else "edge")
        samples = samples[
            (recipe.fft - recipe.frame) // 2 :
        ]  # a frame is in the transform's middle
    samples = np.pad(samples, (0, max(0, recipe.frame - len(samples))))
    frames = np.lib.stride_tricks.sliding_window_view(samples, recipe.frame)[:: recipe.hop]
    frames = frames[: max(1, recipe.frames(count))]
    window, bank = taper(recipe), filters(recipe)
    parts = []
    for start in range(0, len(frames), _BLOCK):
        block = _levelled(frames[start : start + _BLOCK].astype(np.float64), recipe) * window
        spectrum = np.abs(np.fft.rfft(block, recipe.fft, axis=1)) ** recipe.power
        parts.append(_logarithm(spectrum @ bank, recipe))
    bands = np.concatenate(parts)
    return (bands @ cosines(recipe) if recipe.cepstra else bands).astype(np.float32)


def picture_of(bands: np.ndarray) -> np.ndarray:
    """Log-mel bands (T, B) as a picture (B, T, 3) uint8, the darker the less there is."""
    low, high = np.quantile(bands, (0.02, 0.998))
    level = np.clip((bands.T[::-1] - low) / max(high - low, 1e-6), 0, 1)
    colours = np.stack([level**0.8, level**1.6, 0.25 + 0.5 * level * (1 - level)], axis=-1)
    return np.asarray((colours * 255).astype(np.uint8))


def _levelled(frames: np.ndarray, recipe: MelRecipe) -> np.ndarray:
    if recipe.level:
        frames = frames - frames.mean(axis=1, keepdims=True)
    if recipe.emphasis:
        before = np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
        frames = frames - recipe.emphasis * before
    return frames


def _logarithm(bands: np.ndarray, recipe: MelRecipe) -> np.ndarray:
    bands = np.maximum(bands + recipe.offset, recipe.floor)
    if recipe.logarithm == "natural":
        return np.asarray(np.log(bands))
    return np.asarray(np.log10(bands) * (10 if recipe.logarithm == "decibel" else 1))


def _mel(hertz: np.ndarray, scale: str) -> np.ndarray:
    if scale != "slaney":
        return np.asarray(1127.0 * np.log1p(hertz / 700.0))
    above = _KNEE / _LINEAR + np.log(np.maximum(hertz, _KNEE) / _KNEE) / _STEP
    return np.where(hertz < _KNEE, hertz / _LINEAR, above)


def _hertz(mel: np.ndarray, scale: str) -> np.ndarray:
    if scale != "slaney":
        return np.asarray(700.0 * np.expm1(mel / 1127.0))
    above = _KNEE * np.exp(_STEP * (np.maximum(mel, _KNEE / _LINEAR) - _KNEE / _LINEAR))
    return np.where(mel < _KNEE / _LINEAR, mel * _LINEAR, above)
