"""Sounds as networks hear what is said in them: whole, in the windows that hold half a minute.

A sound of more than one window is cut where it is quietest, so that no word is in two.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from headstart.contracts import Preprocess
from headstart.errors import DataError

FRAMES, AT_END = "frames", "end"  # values of `pad`: a window a frame, or filled up behind the sound
LONGEST: Final = 300.0  # seconds
_PART: Final = 0.01  # seconds whose loudness is compared
_QUIET: Final = 20  # of these around a cut
_LATE: Final = 2 / 3  # of a window, behind which it is cut


def demand_length(file: Any) -> None:
    """Raise DataError for a sound that is too long to be heard whole."""
    if file.frames > LONGEST * file.samplerate:
        raise DataError(
            f"it is {file.frames / file.samplerate / 60:.0f} min long, and sounds of up to "
            f"{LONGEST / 60:.0f} min are written down: cut it, or name parts of it by columns "
            "`start` and `end` of a manifest"
        )


def windows(samples: np.ndarray, preprocess: Preprocess) -> np.ndarray:
    """Samples (S,) as windows (T, window).

    By `frames` there is a window every `hop` as long as all of it is within the sound, and parts of
    `block` of them; else each part is one, with silence behind it.
    """
    window, hop = int(preprocess["window"]), int(preprocess["hop"])
    if preprocess["pad"] == AT_END:
        parts = cut(samples, window, int(preprocess["rate"]))
        return np.stack([_filled(part, window) for part in parts])
    block = int(preprocess["block"])
    whole = (block - 1) * hop + window
    *before, last = cut(samples, whole, int(preprocess["rate"]))
    rows = [_frames(_filled(part, whole), window, hop) for part in before]
    return np.concatenate([*rows, _frames(_filled(last, window), window, hop)])


def cut(samples: np.ndarray, most: int, rate: int) -> list[np.ndarray]:
    """Samples in parts of at most so many, each but the last cut where it is quietest."""
    parts = []
    step = max(1, round(_PART * rate))
    while len(samples) > most:
        start = int(_LATE * most)
        count = max(1, (most - start) // step)
        loud = np.square(samples[start : start + count * step]).reshape(count, -1).mean(axis=1)
        smooth = np.convolve(loud, np.ones(min(_QUIET, count)), mode="same")
        end = start + int(smooth.argmin()) * step + step // 2
        parts.append(samples[:end])
        samples = samples[end:]
    return [*parts, samples]


def _filled(samples: np.ndarray, least: int) -> np.ndarray:
    return np.pad(samples, (0, max(0, least - len(samples))))


def _frames(samples: np.ndarray, window: int, hop: int) -> np.ndarray:
    return np.lib.stride_tricks.sliding_window_view(samples, window)[::hop]
