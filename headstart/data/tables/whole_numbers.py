"""Wide tables of small whole numbers, such as pixels, held as an array."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import SEEK_END
from pathlib import Path
from typing import Any, final

import numpy as np

from headstart.data.tables.interface import ItemTable

FEWEST = 64  # columns, below which rows of text take no room to speak of
_MOST = 9999  # a number, of which the digits are counted


@final
@dataclass(frozen=True, eq=False)
class NumberTable(ItemTable):
    """Whole numbers from 0 to 9999 (N, C), read as the text that stands in the file."""

    path: Path
    names: Sequence[str]
    array: np.ndarray
    first: int  # line
    remark: str = ""
    noun: str = "line"

    def numbers(self) -> Iterable[int]:
        """The line of each row."""
        return range(self.first, self.first + len(self.array))

    def values(self, column: str) -> Iterable[Any]:
        """The numbers in one column, as text."""
        return map(str, self.array[:, self.names.index(column)].tolist())

    def cells(self, columns: Sequence[str]) -> Iterator[Sequence[Any]]:
        """Each row's numbers in several columns."""
        places = [self.names.index(name) for name in columns]
        return (row[places].tolist() for row in self.array)

    def first_rows(self, count: int) -> Iterable[Mapping[str, Any]]:
        """The first rows by column, as text."""
        rows = self.array[:count].tolist()
        return (dict(zip(self.names, map(str, row), strict=True)) for row in rows)


def wide_numbers(path: Path, delimiter: str, above: int) -> np.ndarray | None:
    """The numbers (N, C) below the first lines; None where a cell is anything else.

    The file is as long as their digits and what parts them, so that `07`, ` 7` and an empty line
    are told from 7 and nothing.
    """
    import pyarrow
    from pyarrow import csv

    with path.open("rb") as file:
        start = sum(len(file.readline()) for _ in range(above))
        row = file.readline()
        file.seek(-1, SEEK_END)
        unended = file.read() != b"\n"
    width, ending = row.count(delimiter.encode()) + 1, 2 if row.endswith(b"\r\n") else 1
    names = list(map(str, range(width)))
    try:
        table = csv.read_csv(
            path,
            csv.ReadOptions(column_names=names, skip_rows=above, use_threads=False),
            csv.ParseOptions(delimiter=delimiter, quote_char=False),
            csv.ConvertOptions(column_types=dict.fromkeys(names, pyarrow.int16())),
        )
    except (pyarrow.ArrowException, OSError, ValueError):
        return None
    if any(column.null_count for column in table.columns):
        return None
    array = np.empty((table.num_rows, width), np.int16)
    for place, column in enumerate(table.columns):
        array[:, place] = column.to_numpy()
    if not array.size or array.min() < 0 or array.max() > _MOST:
        return None
    digits = array.size + sum(int((array >= least).sum()) for least in (10, 100, 1000))
    parting = array.size - len(array) + ending * (len(array) - unended)
    return array if path.stat().st_size == start + digits + parting else None
