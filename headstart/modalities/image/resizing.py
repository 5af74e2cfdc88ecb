"""Resizing with antialiasing as torch does it, to the very level, without torch.

Both passes, across and then down, use weights of 16 bits with as many digits behind the point as
fit, and round to a level after each (`interpolate` of uint8 in torch, after Pillow).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, final

import numpy as np
from PIL import Image as pil

_SHARP: Final = -0.5  # the free number of cubic convolution (Keys 1981), as Pillow has it
_COLUMNS: Final = 192  # numbers of a line that are computed at a time, to stay in the cache
# Multiplications up to which OpenBLAS takes one thread: pictures are decoded by several at once,
# whose threads would wait for one another ten times as long as they compute.
_ALONE: Final = 1 << 18
_DIGITS, _MOST = 22, 1 << 15
_BLOCK: Final = 8  # new lines at a time, of mostly the same old ones
_SINGLE: Final = 1 << 24  # whole numbers up to which single precision holds each


def resized(
    picture: pil.Image,
    size: tuple[int, int],
    scale: tuple[float, float],
    mode: str,
    middle: tuple[int, int] | None = None,
) -> np.ndarray:
    """A picture in grey or RGB at a size (width, height): (height, width) or with colours, uint8.

    `scale` is how many of the old pixels a new one takes, across and down; `mode` is bilinear or
    bicubic. Where no more than the `middle` (width, height) is looked at, the rest may stay black.
    """
    (width, height), (wide, high) = size, picture.size
    window = middle or size
    across = _weights(wide, width, scale[0], mode, window[0]) if _changes(wide, scale[0]) else None
    down = _weights(high, height, scale[1], mode, window[1]) if _changes(high, scale[1]) else None
    if across is None:
        pixels = np.asarray(picture)
    else:  # Pillow turns a picture in a fraction of the time that NumPy takes
        columns = np.asarray(picture.transpose(pil.Transpose.TRANSPOSE))
        colours = columns.shape[2:]
        first, stop = down.old_lines if down else (0, high)
        bands = colours[0] if colours else 1
        lines = columns.reshape(wide, -1)[:, first * bands : stop * bands]
        new = _computed(lines, across).reshape(-1, stop - first, *colours)
        pixels = np.zeros((high, width, *colours), np.uint8)
        pixels[first:stop, slice(*across.new_lines)] = _turned(new)
    if down is not None:
        lines = pixels.reshape(high, -1)
        whole = np.zeros((height, lines.shape[1]), np.uint8)
        whole[slice(*down.new_lines)] = _computed(lines, down)
        pixels = whole.reshape(height, -1, *pixels.shape[2:])
    return pixels[:height, :width]


def _changes(length: int, scale: float) -> bool:
    """Whether there are more or fewer lines afterwards; else torch leaves them as they are."""
    return int(length / scale) != length


@final
@dataclass(frozen=True)
class _Weights:
    """How many digits weights have, and for some new lines at a time what they take of old ones.

    `shares` (B, new, old) are those of each block, in single precision where that holds all their
    sums exactly; `sources` (B, old) are the old lines, `new_lines` the first new one and the end.
    """

    digits: int
    shares: np.ndarray
    sources: np.ndarray
    new_lines: tuple[int, int]

    @property
    def old_lines(self) -> tuple[int, int]:
        """The old lines that these are computed from."""
        return int(self.sources.min()), int(self.sources.max()) + 1

    @property
    def columns(self) -> int:
        """How many numbers of a line one thread multiplies with a block."""
        return int(max(1, min(_COLUMNS, _ALONE // self.shares[0].size)))

    def levels(self, sums: np.ndarray) -> np.ndarray:
        """Sums, which are whole numbers, rounded to levels."""
        whole = sums.astype(np.int32)  # 255 times weights whose sum is 2 ** 22 at most
        whole += 1 << (self.digits - 1)
        whole >>= self.digits
        return np.clip(whole, 0, 255, out=whole).astype(np.uint8)


def _computed(lines: np.ndarray, weights: _Weights) -> np.ndarray:
    """New lines (M, K) uint8, each of some neighbouring ones among (N, K)."""
    blocks, width = weights.sources.shape
    count = weights.new_lines[1] - weights.new_lines[0]
    levels = np.empty((count, lines.shape[1]), np.uint8)
    for start in range(0, lines.shape[1], weights.columns):
        part = slice(start, start + weights.columns)
        exact = lines[weights.sources.ravel(), part].astype(weights.shares.dtype)
        sums = weights.shares @ exact.reshape(blocks, width, -1)
        levels[:, part] = weights.levels(sums.reshape(-1, exact.shape[1])[:count])
    return levels


def _turned(pixels: np.ndarray) -> np.ndarray:
    """Rows as columns: (H, W) or (H, W, C) uint8 to (W, H) or (W, H, C), each pixel as it is."""
    whole = np.dtype((np.void, pixels[0, 0].nbytes))  # NumPy turns single bytes at half the speed
    turned = np.ascontiguousarray(pixels.view(whole).reshape(pixels.shape[:2]).T)
    return turned.view(np.uint8).reshape(*turned.shape, *pixels.shape[2:])


@lru_cache(maxsize=64)  # photos of one camera are of one size
def _weights(length: int, target: int, scale: float, mode: str, middle: int) -> _Weights:
    """Those of the middle new lines, so many, and of one or more beside them on either side."""
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
    begin = max(0, (target - middle) // 2 - 1)
    end = target - begin
    starts = np.arange(begin, end, _BLOCK)
    rows = np.minimum(starts[:, None] + np.arange(_BLOCK), end - 1)  # the last ones twice
    reached = (firsts + counts)[rows].max(axis=1) - firsts[starts]
    own = firsts[rows][:, :, None] - firsts[starts][:, None, None] + places
    blocks = np.zeros((len(starts), _BLOCK, reached.max() + len(places)), whole.dtype)
    np.put_along_axis(blocks, own, whole[rows], axis=2)
    blocks = np.ascontiguousarray(blocks[:, :, : reached.max()])  # what lies beyond weighs nothing
    sources = firsts[starts][:, None] + np.arange(blocks.shape[2])
    return _Weights(digits, blocks, np.minimum(sources, length - 1), (begin, end))


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
