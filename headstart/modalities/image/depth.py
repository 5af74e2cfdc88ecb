"""Values with more than 8 bits, stretched to bytes by what they hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import final

import numpy as np
from PIL import Image as pil

_AT_ONCE = 1 << 20  # values that are floats at a time, so that large pictures fit into memory
_DEPTHS = (8, 10, 12, 14, 16)  # bits that cameras, scanners and satellites give


@final
@dataclass(frozen=True)
class Depth:
    """What a header says of deep values.

    `bits` is how many are used, where it says so; `nodata` a value that stands for none.
    """

    bits: int | None = None
    unsigned: bool = False  # 32 bits that Pillow holds as signed ones
    inverted: bool = False  # 0 is white
    nodata: float | None = None

    def levels(self, values: np.ndarray | pil.Image) -> Levels:
        """The range that is stretched to 0-255: that of the header's bits where it says them.

        Else of whole numbers from 0 to 65535 the fewest of 8, 10, 12, 14 or 16 bits that hold all;
        of fractions from 0 to 1 just that; of any others, from the least to the largest. Values
        that stand for none, and those that are no finite numbers, don't count.
        """
        whole, bits = True, None
        bands = []
        for part in self._parts(values):
            whole = part.dtype.kind != "f"
            bands.append(ends([part[self.real(part)]]))
        low, high = ends(np.array(pair) for pair in bands if pair is not None) or (0.0, 0.0)
        if not whole:
            low, high = (0.0, 1.0) if 0 <= low and high <= 1 else (low, high)
        elif low >= 0 and high <= 65535:
            bits = self.bits or next(bits for bits in _DEPTHS if high < 2**bits)
            low, high = 0.0, 2.0**bits - 1
        return Levels(self, low, high, bits)

    def real(self, values: np.ndarray) -> np.ndarray:
        """Which of them stand for something."""
        finite: np.ndarray = np.isfinite(values)
        if self.nodata is None:
            return finite
        with np.errstate(over="ignore"):  # a double's least number, where the values are singles
            real: np.ndarray = finite & (values != self.nodata)
        return real

    def _parts(self, values: np.ndarray | pil.Image) -> Iterator[np.ndarray]:
        for part in parts(values):
            yield part.view(np.uint32) if self.unsigned else part


@final
@dataclass(frozen=True)
class Levels:
    """The range of deep values, and how many bits hold them, where they are whole and positive."""

    depth: Depth
    low: float
    high: float
    bits: int | None = None

    @property
    def notes(self) -> list[str]:
        """What is to be said where fewer bits are used than there are."""
        return [f"{self.bits}-bit values"] if self.bits and self.bits < 16 else []

    def to_bytes(self, values: np.ndarray | pil.Image) -> np.ndarray:
        """Values of any shape as uint8; those that stand for none are 0."""
        scaled = [self._scaled(part) for part in self.depth._parts(values)]
        return np.concatenate(scaled)

    def _scaled(self, values: np.ndarray) -> np.ndarray:
        real = self.depth.real(values)
        # into the range first, lest one that stands for none overflow
        inside = np.clip(np.where(real, values, self.low).astype(np.float64), self.low, self.high)
        share = (inside - self.low) * 255.0 / ((self.high - self.low) or 1.0)
        share = 255.0 - share if self.depth.inverted else share
        return np.where(real, np.rint(share), 0).astype(np.uint8)


def deep(picture: pil.Image) -> bool:
    """Whether Pillow holds more than 8 bits a value."""
    return picture.mode.startswith("I") or picture.mode == "F"


def ends(groups: Iterable[np.ndarray]) -> tuple[float, float] | None:
    """The least and the largest value of all, None where there is none."""
    pairs = [(float(group.min()), float(group.max())) for group in groups if group.size]
    if not pairs:
        return None
    lows, highs = zip(*pairs, strict=True)
    return min(lows), max(highs)


def parts(values: np.ndarray | pil.Image) -> Iterator[np.ndarray]:
    """Groups of whole rows, (rows, width, ...), small enough to be floats at once."""
    if isinstance(values, np.ndarray):
        height, across = len(values), values[:1].size
    else:
        height, across = values.height, values.width
    rows = max(1, _AT_ONCE // max(1, across))
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        if isinstance(values, np.ndarray):
            yield values[top:bottom]
        else:
            yield np.asarray(values.crop((0, top, values.width, bottom)))
