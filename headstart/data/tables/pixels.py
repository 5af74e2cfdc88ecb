"""Pictures whose pixels stand in a table as numbers: many in one cell, or a column for each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isqrt
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

    These are square and grey, or in colour pixel by pixel.
    """
    rows = list(table.first_rows(_SAMPLE))
    for names in _runs(table):
        cells = [_words(row, names) for row in rows]
        if _side(cells[0] if cells else ()) and _are_pixels([c for c in cells if c]):
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


def _words(row: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """What stands in a row's pixels; nothing where a cell is blank."""
    cells = [row.get(name) for name in names]
    if any(map(is_blank, cells)):
        return []
    if len(cells) == 1:
        return str(cells[0]).replace(",", " ").strip("[] ").split()
    return [str(cell) for cell in cells]


def _are_pixels(rows: Sequence[Sequence[str]]) -> bool:
    try:
        values = [bytes(map(int, row)) for row in rows]
    except ValueError:
        return False
    return bool(values) and max(map(max, values)) >= _BRIGHT


def _side(words: Sequence[str]) -> int:
    """How wide a picture of so many values is; 0 where it is none."""
    count = len(words)
    sides = (isqrt(count // channels) for channels in (1, 3))
    fits = (side for side in sides if count >= _FEWEST and count in (side**2, 3 * side**2))
    return next(fits, 0)


@final
class Pictured(ItemTable):
    """Another table, in place of some columns one of pictures."""

    def __init__(self, table: ItemTable, pixels: Sequence[str]) -> None:
        self._table, self._pixels = table, pixels
        self.path, self.noun = table.path, table.noun
        self.column = pixels[0] if len(pixels) == 1 else NAME
        ends = f"`{pixels[0]}`" + (f" to `{pixels[-1]}`" if len(pixels) > 1 else "")
        sentence = f"the numbers in {ends} are the pixels of pictures"
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
        columns = (self._table.values(name) for name in self._pixels)
        count = 0
        for number, cells in zip(self.numbers(), zip(*columns, strict=True), strict=True):
            words = _words(dict(zip(self._pixels, cells, strict=True)), self._pixels)
            count = count or len(words)
            if not words:
                yield None
                continue
            place = f"{self.path} {self.noun} {number}"
            if len(words) != count:
                raise DataError(
                    f"{place} has {len(words)} pixels, and the rows above {count}. Correct the row."
                )
            try:
                pixels = np.frombuffer(bytes(map(int, words)), np.uint8)
            except ValueError as error:
                raise DataError(
                    f"{place} has a pixel that is no whole number from 0 to 255. Correct the row."
                ) from error
            side = _side(words)
            yield Pixels(pixels.reshape((side, side) if side**2 == count else (side, side, 3)))
