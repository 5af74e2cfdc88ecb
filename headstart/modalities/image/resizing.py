"""Resizing with antialiasing as torch does it, to the very level, without torch.

Both passes, across and then down, use weights of 16 bits with as many digits behind the point as
fit, and round to a level after each (`interpolate` of uint8 in torch, after Pillow).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, final

import numpy as np

_SHARP: Final = -0.5  # the free number of cubic convolution (Keys 1981), as Pillow has it
_ROWS: Final = 256  # of a picture that are turned at a time
# Multiplications up to which OpenBLAS takes one thread: pictures are decoded by several at once,
# whose threads would wait for one another ten times as long as they compute.
_ALONE: Final = 1 << 18
_DIGITS, _MOST = 22, 1 << 15
_BLOCK: Final = 8  # new lines at a time, of mostly the same old ones
_SINGLE: Final = 1 << 24  # whole numbers up to which single precision holds each


def resized(
    pixels: np.ndarray,
    size: tuple[int, int],
    scale: tuple[float, float],
    mode: str,
    middle: tuple[int, int] | None = None,
) -> np.ndarray:
    """Pixels (H, W) or (H, W, C) uint8 at a size (width, height), uint8.

    `scale` is how many of the old pixels a new one takes, across and down; `mode` is bilinear or
    bicubic. Where no more than the `middle` (width, height) is looked at, the rest may stay black.
    """
    (width, height), channels = size, pixels.shape[2:]
    down = rows = None
    if _changes(len(pixels), scale[1]):
        down = _weights(len(pixels), height, scale[1], mode).around(middle[1] if middle else height)
        rows = down.old_lines
    if _changes(pixels.shape[1], scale[0]):
        across = _weights(pixels.shape[1], width, scale[0], mode, channels[0] if channels else 1)
        across = across.around(middle[0] if middle else width)
        lines = pixels.reshape(len(pixels), -1)
        sums = np.zeros((len(pixels), across.count), np.uint8)
        first, stop = rows or (0, len(pixels))
        for start in range(first, stop, _ROWS):
            part = slice(start, min(start + _ROWS, stop))
            sums[part, slice(*across.new_lines)] = _across(lines[part], across)
        pixels = sums.reshape(len(pixels), width, *channels)
    if down is not None:
        lines = pixels.reshape(len(pixels), -1)
        sums = np.zeros((down.count, lines.shape[1]), np.uint8)
        sums[slice(*down.new_lines)] = _down(lines, down)
        pixels = sums.reshape(height, -1, *channels)
    return pixels[:height, :width]


def _changes(length: int, scale: float) -> bool:
    """Whether there are more or fewer lines afterwards; else torch leaves them as they are."""
    return int(length / scale) != length


@final
@dataclass(frozen=True)
class _Weights:
    """How many digits weights have, and for some new lines at a time what they take of old ones.

    Each block is where the new ones begin, where the old ones do, and (new, old) weights; in single
    precision where that holds all their sums exactly.
    """

    digits: int
    count: int  # of new lines
    channels: int  # of which each has so many beside one another
    blocks: tuple[tuple[int, int, np.ndarray], ...]

    @property
    def kind(self) -> np.dtype:
        """What they are computed in."""
        return self.blocks[0][2].dtype

    @property
    def new_lines(self) -> tuple[int, int]:
        """The new lines that blocks are there for."""
        place, _, last = self.blocks[-1]
        return self.blocks[0][0], place + len(last)

    @property
    def old_lines(self) -> tuple[int, int]:
        """The old lines that these are made of."""
        stop = max(first + each.shape[1] for _, first, each in self.blocks)
        return self.blocks[0][1], stop

    def around(self, middle: int) -> _Weights:
        """Those of the middle lines, so many, and of one or more beside them on either side."""
        margin = (self.count // self.channels - middle) // 2 - 1
        if margin <= 0:
            return self
        start, stop = margin * self.channels, self.count - margin * self.channels
        inside = (b for b in self.blocks if b[0] < stop and b[0] + len(b[2]) > start)
        return replace(self, blocks=tuple(inside))

    def levels(self, sums: np.ndarray) -> np.ndarray:
        """Sums, which are whole numbers, rounded to levels."""
        whole = sums.astype(np.int32)  # 255 times weights whose sum is 2 ** 22 at most
        whole += 1 << (self.digits - 1)
        whole >>= self.digits
        return np.clip(whole, 0, 255, out=whole).astype(np.uint8)


def _down(lines: np.ndarray, weights: _Weights) -> np.ndarray:
    """New lines (M, K) uint8, each of some neighbouring ones among (N, K)."""
    (begin, end), (first_taken, stop_taken) = weights.new_lines, weights.old_lines
    exact = lines[first_taken:stop_taken].astype(weights.kind)
    sums = np.empty((end - begin, lines.shape[1]), weights.kind)
    for place, first, own in weights.blocks:
        start, at = first - first_taken, place - begin
        old_lines, new = exact[start : start + own.shape[1]], sums[at : at + len(own)]
        for part in _parts(lines.shape[1], own):
            new[:, part] = own @ old_lines[:, part]
    return weights.levels(sums)


def _across(rows: np.ndarray, weights: _Weights) -> np.ndarray:
    """The same along rows: (H, N) to (H, M)."""
    (begin, end), (first_taken, stop_taken) = weights.new_lines, weights.old_lines
    exact = rows[:, first_taken:stop_taken].astype(weights.kind)
    sums = np.empty((len(rows), end - begin), weights.kind)
    for place, first, own in weights.blocks:
        start, at = first - first_taken, place - begin
        old_lines, new = exact[:, start : start + own.shape[1]], sums[:, at : at + len(own)]
        for part in _parts(len(rows), own):
            new[part] = old_lines[part] @ own.T
    return weights.levels(sums)


def _parts(length: int, block: np.ndarray) -> Iterator[slice]:
    """So many lines at a time as one thread multiplies with a block."""
    step = max(1, _ALONE // block.size)
    return (slice(start, start + step) for start in range(0, length, step))


@lru_cache(maxsize=64)  # photos of one camera are of one size
def _weights(length: int, target: int, scale: float, mode: str, channels: int = 1) -> _Weights:
    """Those of new lines, each of so many channels that lie beside one another."""
    filter_of, reach = _FILTERS[mode]
    support = reach * max(scale, 1.0)
    shrink = 1 / scale if scale >= 1 else 1.0
    centres = scale * (np.arange(target) + 0.5)
    firsts = np.maximum((centres - support + 0.5).astype(np.int64), 0)
    counts = np.minimum((centres + support + 0.5).astype(np.int64), length) - firsts
    places = np.arange(counts.max())
    shares = filter_of((places + firsts[:, None] - centres[:, None] + 0.5) * shrink)
    shares = np.where(places < counts[:, None], shares, 0.0)
    shares /= np.cumsum(shares, axis=1)[:, -1:]  # added one after another, as torch does
    largest = float(shares.max())
    digits = next(
        (n for n in range(_DIGITS) if int(0.5 + largest * (1 << (n + 1))) >= _MOST), _DIGITS
    )
    whole = np.trunc(shares * (1 << digits) + np.copysign(0.5, shares))
    is_single = 255 * float(np.abs(whole).sum(axis=1).max()) < _SINGLE
    whole = whole.astype(np.float32 if is_single else np.float64)
    lines = np.zeros((target, length + len(places)), whole.dtype)  # what lies beyond weighs nothing
    np.put_along_axis(lines, firsts[:, None] + places, whole, axis=1)
    blocks = []
    for place in range(0, target, _BLOCK):
        first, stop = int(firsts[place]), int((firsts + counts)[place : place + _BLOCK].max())
        block = lines[place : place + _BLOCK, first:stop]
        each = np.zeros((len(block) * channels, block.shape[1] * channels), whole.dtype)
        for channel in range(channels):
            each[channel::channels, channel::channels] = block
        blocks.append((place * channels, first * channels, each))
    return _Weights(digits, target * channels, channels, tuple(blocks))


def _triangle(x: np.ndarray) -> np.ndarray:
    return np.asarray(np.maximum(1.0 - np.abs(x), 0.0))


def _cubic(x: np.ndarray) -> np.ndarray:
    x = np.abs(x)
    near = ((_SHARP + 2.0) * x - (_SHARP + 3.0)) * x * x + 1.0
    far = ((_SHARP * x - 5.0 * _SHARP) * x + 8.0 * _SHARP) * x - 4.0 * _SHARP
    return np.where(x < 1.0, near, np.where(x < 2.0, far, 0.0))


_FILTERS: Final[dict[str, tuple[Callable[[np.ndarray], np.ndarray], float]]] = {
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
