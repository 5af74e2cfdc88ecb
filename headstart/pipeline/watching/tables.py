"""A stream that is a table: its rows in the order of their times, with what is known by now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from math import isfinite
from pathlib import Path
from typing import Any, final

from headstart.data import tables as kept_tables
from headstart.errors import DataError


@dataclass(frozen=True)
class Columns:
    """The columns of a stream that is a table: `time` orders its rows, `label` tells the truth."""

    time: str | None = None
    label: str | None = None

    @property
    def has_columns(self) -> bool:
        """Whether any was named."""
        return self.time is not None or self.label is not None


def is_table(stream: Any) -> bool:
    """Whether a stream is the path of a table."""
    path = Path(stream) if isinstance(stream, str | Path) else None
    return path is not None and path.suffix.lower() in kept_tables.READ and path.is_file()


@final
@dataclass(frozen=True)
class Stream:
    """A table at a path, and what its columns mean."""

    path: Path
    columns: Columns

    @cached_property
    def table(self) -> Any:
        """Its first table."""
        return kept_tables.read(self.path)[0]

    @property
    def first(self) -> dict[str, Any]:
        """The first value of each column that there is."""
        columns = {str(name): self.table.values(name) for name in self.table.names}
        return {
            name: next((value for value in values if value is not None), None)
            for name, values in columns.items()
        }

    def order(self, count: int) -> list[int]:
        """The places of so many items in the order of their times, as they stand where none is.

        Raises DataError where the column is not there, or orders nothing.
        """
        moments = _moments(self._values(self.columns.time, count), self.path, self.columns.time)
        return sorted(range(count), key=lambda place: moments[place])

    def truths(self, count: int, labels: Sequence[str]) -> list[str | None]:
        """What was right of each of so many items, None where that isn't known.

        Raises DataError where the column is not there, or says what is no label.
        """
        cells, names = self._values(self.columns.label, count), set(labels)
        strange = next((cell for cell in cells if cell and cell not in names), None)
        if strange is not None:
            raise DataError(
                f"{self.path} says {strange!r} in column {self.columns.label}, which the model "
                "does not know. Correct it, or name another column."
            )
        return [cell or None for cell in cells]

    def _values(self, column: str | None, count: int) -> list[str]:
        """A column's cells as text, empty where there is no such column or no value."""
        table = self.table
        if column is None:
            return [""] * count
        if column not in table.names:
            names = ", ".join(map(str, table.names))
            raise DataError(f"{self.path} has no column {column!r}. Name one of: {names}.")
        cells = ["" if value is None else str(value).strip() for value in table.values(column)]
        if len(cells) != count:
            raise DataError(
                f"{self.path} has {len(cells)} rows and {count} items, which don't go together. "
                "Give a table with one item a row."
            )
        return cells


def _moments(times: Sequence[str], path: Path, column: str | None) -> list[float]:
    """What rows are ordered by: all numbers, or all dates as ISO 8601 has them; their order if not.

    Raises DataError where a cell is neither, or there are both.
    """
    if column is None:
        return [0.0] * len(times)
    for parse in (_number, _date):
        moments = [parse(text) for text in times]
        numbers = [moment for moment in moments if moment is not None]
        if len(numbers) == len(times):
            return numbers
    strange = next((t for t in times if _number(t) is None and _date(t) is None), times[0])
    raise DataError(
        f"{path} says {strange!r} in column {column}, which orders no rows beside the others. "
        "Give numbers alone, or dates alone as in 2024-01-31 or 2024-01-31T09:30."
    )


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if isfinite(number) else None


def _date(text: str) -> float | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
