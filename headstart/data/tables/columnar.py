"""Parquet, Arrow and Feather files as tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, final

from headstart.data import parquet
from headstart.data.sources import Source
from headstart.data.tables.interface import ItemTable, demand_distinct


@final
@dataclass(frozen=True)
class ColumnFile(ItemTable):
    """A file of columns, of which only those that are asked for are read."""

    path: Path
    noun: str = "row"

    @cached_property
    def names(self) -> Sequence[str]:  # type: ignore[override]  # read off the file
        """The top-level columns."""
        return parquet.column_names(self.path)

    def numbers(self) -> Iterable[int]:
        """TableInMemory from 0."""
        return range(sum(parquet.group_sizes(self.path)))

    def values(self, column: str) -> Iterable[Any]:
        """The values, numbers of classes as their names."""
        return parquet.values(self.path, column)

    def texts(self, column: str) -> Iterable[Any]:
        """The values of a column of text."""
        return parquet.texts(self.path, column)

    def first_rows(self, count: int) -> Iterable[Mapping[str, Any]]:
        """The first rows of the columns of text."""
        return parquet.first_rows(self.path, count)

    def holds_bytes(self, column: str) -> bool:
        """Whether a column's type is that of bytes."""
        return parquet.holds_bytes(self.path, column)

    def contents(self, column: str) -> Iterable[Source | Any]:
        """Where each row's bytes are, or the path that it holds."""
        return parquet.contents(self.path, column)


def read(path: Path) -> list[ColumnFile]:
    """The table, opened to see that it can be. Raises DataError when it can't."""
    table = ColumnFile(path)
    demand_distinct(path, table.names)
    return [table]
