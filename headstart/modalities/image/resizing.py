"""Resizing with antialiasing as torch does it, to the very level, without torch.

Both passes, across and then down, use weights of 16 bits with as many digits behind the point as
fit, and round to a level after each (`interpolate` of uint8 in torch, after Pillow).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

_SHARP: Final = -0.5  # the free number of cubic convolution (Keys 1981), as Pillow has it
_ROWS: Final = 256  # of a picture that are turned at a time
_DIGITS, _MOST = 22, 1 << 15


def resized(
    pixels: np.ndarray, size: tuple[int, int], scale: tuple[float, float], mode: str
) -> np.ndarray:
    """Pixels (H, W) or (H, W, C) uint8 at a size (width, height), uint8.

    `scale` is how many of the old pixels a new one takes, across and down; `mode` is bilinear or
    bicubic.
    """
    (width, height), channels = size, pixels.shape[2:]
    if _changes(pixels.shape[1], scale[0]):
        across, rows = _weights(pixels.shape[1], width, scale[0], mode), []
        for start in range(0, len(pixels), _ROWS):
            part = pixels[start : start + _ROWS]
            turned = np.ascontiguousarray(part.swapaxes(0, 1)).reshape(part.shape[1], -1)
            rows.append(_mixed(turned, across).reshape(width, len(part), *channels).swapaxes(0, 1))
        pixels = np.concatenate(rows)
    if _changes(len(pixels), scale[1]):
        down = _weights(len(pixels), height, scale[1], mode)
        pixels = _mixed(pixels.reshape(len(pixels), -1), down).reshape(height, -1, *channels)
    return pixels[:height, :width]


def _changes(length: int, scale: float) -> bool:
    """Whether there are more or fewer lines afterwards; else torch leaves them as they are."""
    return int(length / scale) != length


def _mixed(lines: np.ndarray, weights: tuple[int, list[tuple[int, np.ndarray]]]) -> np.ndarray:
    """New lines (M, K) uint8, each of some neighbouring ones among (N, K)."""
    digits, each = weights
    reals = lines.astype(np.float64)  # sums of whole numbers far below 2 ** 53
    sums = np.empty((len(each), lines.shape[1]))
    for place, (first, share) in enumerate(each):
        np.dot(share, reals[first : first + len(share)], out=sums[place])
    sums += 1 << (digits - 1)
    levels: np.ndarray = np.clip(sums.astype(np.int64) >> digits, 0, 255).astype(np.uint8)
    return levels


def _weights(
    length: int, target: int, scale: float, mode: str
) -> tuple[int, list[tuple[int, np.ndarray]]]:
    """How many digits weights have, and for each new line the first old one and the weights."""
    filter_of, reach = _FILTERS[mode]
    support = reach * max(scale, 1.0)
    shrink = 1 / scale if scale >= 1 else 1.0
    places: list[tuple[int, np.ndarray]] = []
    for line in range(target):
        centre = scale * (line + 0.5)
        first = max(int(centre - support + 0.5), 0)
        count = min(int(centre + support + 0.5), length) - first
        share = np.array([filter_of((n + first - centre + 0.5) * shrink) for n in range(count)])
        places.append((first, share / share.sum()))
    largest = max(float(share.max()) for _, share in places)
    digits = next(
        (n for n in range(_DIGITS) if int(0.5 + largest * (1 << (n + 1))) >= _MOST), _DIGITS
    )
    unit = 1 << digits
    return digits, [
        (first, np.trunc(share * unit + np.copysign(0.5, share))) for first, share in places
    ]


def _triangle(x: float) -> float:
    x = abs(x)
    return 1.0 - x if x < 1.0 else 0.0


def _cubic(x: float) -> float:
    x = abs(x)
    if x < 1.0:
        return ((_SHARP + 2.0) * x - (_SHARP + 3.0)) * x * x + 1.0
    if x < 2.0:
        return ((_SHARP * x - 5.0 * _SHARP) * x + 8.0 * _SHARP) * x - 4.0 * _SHARP
    return 0.0


_FILTERS: Final[dict[str, tuple[Callable[[float], float], float]]] = {
    "bilinear": (_triangle, 1.0),
    "bicubic": (_cubic, 2.0),
}


def stretched(batch: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """A batch (N, H, W, C) float32 at a size (height, width), bilinear, as torch enlarges it."""
    for axis, target in zip((1, 2), size, strict=True):
        length = batch.shape[axis]
        places = np.maximum((np.arange(target) + 0.5) * (length / target) - 0.5, 0)
        first = places.astype(np.int64)
        share = (places - first).astype(np.float32).reshape(-1, *[1] * (3 - axis))
        before, after = (
            np.take(batch, np.minimum(first + step, length - 1), axis) for step in (0, 1)
        )
        batch = before + (after - before) * share
    return batch
