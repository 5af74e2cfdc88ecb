"""Pictures whose pixels stand in a table as numbers: many in one cell, or a column for each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isqrt, prod
from typing import Any, final

import numpy as np

from headstart.contracts.cells import is_blank
from headstart.data.sources import Source
from headstart.data.tables.header import UNNAMED
from headstart.data.tables.interface import ItemTable
from headstart.errors import DataError

NAME = "pixels"  # of the column that takes the place of one for each pixel
_FEWEST = 64
_SAMPLE = 20  # rows that say whether numbers are pixels
_BRIGHT = 128  # that some pixel reaches, unlike counts and marks
_ALIKE = 0.85  # difference of neighbours to that of any two; digits of 8 by 8 have .78, noise 1
_NAMED = re.compile(r"pixel|px|pix|ima?ge?|picture|\d+x\d+", re.IGNORECASE)
_PIXEL = re.compile(r"(pixel|px|pix)?[ _.-]?\d+|\d+x\d+", re.IGNORECASE)


@final
@dataclass(frozen=True, eq=False)
class Pixels(Source):
    """A picture (H, W) or (H, W, 3) of bytes, read as a file of PGM or PPM."""

    values: np.ndarray

    def read(self) -> bytes:
        """The file's bytes."""
        height, width = self.values.shape[:2]
        kind = b"P5" if self.values.ndim == 2 else b"P6"
        return b"%s %d %d 255\n" % (kind, width, height) + self.values.tobytes()


def pictured(table: ItemTable) -> ItemTable:
    """The same with pictures in one column, where numbers in one or more are their pixels.

    These are square and grey, or in colour pixel by pixel. Where no name says that they are pixels,
    those one above the other are more alike than any two.
    """
    rows = list(table.first_rows(_SAMPLE))
    for names in _runs(table):
        cells = [_words([row.get(name) for name in names]) for row in rows]
        if _are_pixels([c for c in cells if not any(map(is_blank, c))], names):
            return Pictured(table, names)
    return table


def _runs(table: ItemTable) -> Iterator[Sequence[str]]:
    """Columns that may hold the pixels: each by itself, those called so, all but first or last."""
    every = table.names
    named = [name for name in every if _PIXEL.fullmatch(name)]
    if len(named) >= _FEWEST:
        yield named
    elif table.remark == UNNAMED and len(every) > _FEWEST:
        yield every[1:]
        yield every[:-1]
    elif len(every) <= _FEWEST:
        yield from ([name] for name in every)


def _words(cells: Sequence[Any]) -> Sequence[Any]:
    """The numbers in a row's cells, or in its only one; nothing where that is blank."""
    if len(cells) > 1:
        return [cell if isinstance(cell, int) else str(cell) for cell in cells]
    return [] if is_blank(cells[0]) else str(cells[0]).replace(",", " ").strip("[] ").split()


def _are_pixels(rows: Sequence[Sequence[Any]], names: Sequence[str]) -> bool:
    shape = _shape(max(map(len, rows), default=0))
    try:
        pictures = np.array([np.frombuffer(bytes(map(int, r)), np.uint8) for r in rows if r])
        pictures = pictures.reshape(-1, *shape).astype(float)
    except ValueError:
        return False
    if not shape or not pictures.size or pictures.max() < _BRIGHT:
        return False
    if all(map(_NAMED.match, names)):
        return True
    flat = pictures.reshape(len(pictures), -1)
    other = flat[:, np.random.default_rng(0).permutation(flat.shape[1])]
    below = np.abs(np.diff(pictures, axis=1)).mean()
    return bool(below < _ALIKE * np.abs(flat - other).mean())


def _shape(count: int) -> tuple[int, ...]:
    """Of a picture of so many values; empty where it is none."""
    shapes = ((isqrt(count // n), isqrt(count // n), *rest) for n, rest in ((1, ()), (3, (3,))))
    return next((s for s in shapes if count >= _FEWEST and prod(s) == count), ())


@final
class Pictured(ItemTable):
    """Another table, in place of some columns one of pictures."""

    def __init__(self, table: ItemTable, pixels: Sequence[str]) -> None:
        self._table, self._pixels = table, pixels
        self.path, self.noun = table.path, table.noun
        self.column = pixels[0] if len(pixels) == 1 else NAME
        ends = f"`{pixels[0]}`" + (f" to `{pixels[-1]}`" if len(pixels) > 1 else "")
        sentence = f"the numbers in {ends} are the pixels of pictures "
        sentence += "(-b table:columns takes them as numbers)"
        self.remark = "; ".join(filter(None, (table.remark, sentence)))
        passed = {*pixels[1:]}
        first = pixels[0]
        self.names = [self.column if n == first else n for n in table.names if n not in passed]

    def numbers(self) -> Iterable[int]:
        """As the table counts."""
        return self._table.numbers()

    def values(self, column: str) -> Iterable[Any]:
        """Each row's value, none where it has a picture."""
        if column == self.column:
            return (None for _ in self.numbers())
        return self._table.values(column)

    def texts(self, column: str) -> Iterable[Any]:
        """Each row's text."""
        return self._table.texts(column)

    def first_rows(self, count: int) -> Iterable[Mapping[str, Any]]:
        """The first rows of the other columns."""
        names = {*self.names} - {self.column}
        return ({n: row.get(n) for n in names} for row in self._table.first_rows(count))

    def holds_bytes(self, column: str) -> bool:
        """Whether it is the column of pictures, or one that holds the bytes of files."""
        return column == self.column or self._table.holds_bytes(column)

    def contents(self, column: str) -> Iterable[Source | Any]:
        """Each row's content. Raises DataError for a row that is no picture as the others are."""
        return self._pictures() if column == self.column else self._table.contents(column)

    def _pictures(self) -> Iterator[Source | None]:
        count = 0
        for number, row in zip(self.numbers(), self._table.cells(self._pixels), strict=True):
            cells = _words(row)
            if not cells:
                yield None
                continue
            count = count or len(cells)
            shape = _shape(count)
            place = f"{self.path} {self.noun} {number}"
            if len(cells) != count:
                raise DataError(
                    f"{place} has {len(cells)} pixels, and the rows above {count}. Correct the row."
                )
            try:
                pixels = np.frombuffer(bytes(map(int, cells)), np.uint8)
            except ValueError as error:
                if any(map(is_blank, cells)):
                    yield None
                    continue
                raise DataError(
                    f"{place} has a pixel that is no whole number from 0 to 255. Correct the row."
                ) from error
            yield Pixels(pixels.reshape(shape))
