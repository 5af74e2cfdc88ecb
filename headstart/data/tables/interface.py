"""What every table offers, whatever file it stands in: columns by name and numbered rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from headstart.data.sources import Source
from headstart.errors import DataError


class ItemTable(ABC):
    """Columns of equal length. `noun` and `numbers` are how the file itself counts its rows.

    `remark` is a sentence on how the names of the columns came about, if they are not the file's.
    """

    path: Path
    noun: str  # line or row
    remark: str = ""
    names: Sequence[str]

    @abstractmethod
    def numbers(self) -> Iterable[int]:
        """The number of each row, in order."""

    @abstractmethod
    def values(self, column: str) -> Iterable[Any]:
        """Each row's value, None where it has none. Raises DataError when they can't be read."""

    def has(self, column: str) -> bool:
        """Whether a column can be asked for."""
        return column in self.names

    def cells(self, columns: Sequence[str]) -> Iterable[Sequence[Any]]:
        """Each row's values in several columns."""
        return zip(*map(self.values, columns), strict=True)

    def texts(self, column: str) -> Iterable[Any]:
        """Each row's text. Raises DataError where the column can't hold any."""
        return self.values(column)

    @abstractmethod
    def first_rows(self, count: int) -> Iterable[Mapping[str, Any]]:
        """The first rows by column, of columns that hold no text perhaps nothing."""

    def holds_bytes(self, column: str) -> bool:
        """Whether a column holds the bytes of files."""
        return False

    def contents(self, column: str) -> Iterable[Source | Any]:
        """Each row's content: a source, or a value that is to be checked as a path."""
        return self.values(column)


@final
@dataclass(frozen=True)
class TableInMemory(ItemTable):
    """A table held in memory: the cells of each row in the order of the columns, or fewer.

    Where cells are `typed`, as in a workbook, a text of digits stands there as a number.
    """

    path: Path
    names: Sequence[str]
    rows: Sequence[tuple[int, Sequence[Any]]]
    noun: str = "line"
    remark: str = ""
    typed: bool = False

    def numbers(self) -> Iterable[int]:
        """The line or row that each begins or ends at, as its reader counts."""
        return (number for number, _ in self.rows)

    def values(self, column: str) -> Iterable[Any]:
        """The cells of one column; rows that end before it have None."""
        place = self.names.index(column)
        return (cells[place] if place < len(cells) else None for _, cells in self.rows)

    def cells(self, columns: Sequence[str]) -> Iterable[Sequence[Any]]:
        """The cells of several columns; rows that end before one have None."""
        places = [self.names.index(name) for name in columns]
        none = [None] * (1 + max(places, default=0))
        padded = ((*row, *none[len(row) :]) for _, row in self.rows)
        return ([row[place] for place in places] for row in padded)

    def texts(self, column: str) -> Iterable[Any]:
        """The cells of one column as text."""
        numbers = (int, float) if self.typed else ()
        return (str(v) if isinstance(v, numbers) else v for v in self.values(column))

    contents = texts

    def first_rows(self, count: int) -> Iterable[Mapping[str, Any]]:
        """The first rows by column."""
        return (dict(zip(self.names, row, strict=False)) for _, row in self.rows[:count])

    def holds_bytes(self, column: str) -> bool:
        """Whether the first cell says where bytes are."""
        return isinstance(next(iter(self.values(column)), None), Source)


def column_names(path: Path, header: Sequence[Any]) -> list[str]:
    """The names of columns as a header has them, without spaces around; those without get one.

    Raises DataError where two columns have one name.
    """
    words = ["" if word is None else str(word).strip() for word in header]
    names = [word or f"Unnamed: {place}" for place, word in enumerate(words)]
    demand_distinct(path, names)
    return names


def demand_distinct(path: Path, names: Sequence[str]) -> None:
    """Raise DataError where two columns have the same name but for spaces around it."""
    places: dict[str, int] = {}
    for place, name in enumerate(names, start=1):
        first = places.setdefault(name.strip(), place)
        if first != place:
            raise DataError(
                f"{path} has two columns called {name.strip()!r}, number {first} and {place}. "
                "Rename or remove one."
            )
