"""A source's cells by column, and the target's as they were read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from headstart.data import Dataset, demand_data
from headstart.data import tables as kept
from headstart.errors import DataError

Table = Mapping[str, Sequence[Any]]  # cells by column
_MOST: Final = 20_000  # rows of a source


@dataclass(frozen=True)
class SourceTable:
    """A labelled table to learn from: `key` is its file's name, which the mapping calls it by."""

    path: Path
    cells: Table

    @property
    def key(self) -> str:
        """The file's name."""
        return self.path.name

    @classmethod
    def of(cls, path: Path) -> SourceTable:
        """Read a file. Raises DataError where it is no table."""
        demand_data(path)
        if path.is_dir():
            raise DataError(f"{path} is a folder, and a source is one table. Name its file.")
        table = kept.read(path)[0]
        return cls(path, {name: list(table.values(name))[:_MOST] for name in table.names})


def rows_of(dataset: Dataset) -> dict[str, list[Any]]:
    """The target's cells by column, of the rows that are learned from."""
    items = dataset.split("train") + dataset.split("validation")
    rows = [json.loads(item.read()) for item in items]
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}
