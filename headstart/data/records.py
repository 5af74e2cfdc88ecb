"""The rows of a table as they are read: what stands in the columns that say something of items."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import repeat
from typing import Any

from headstart.contracts import Modality
from headstart.contracts.cells import is_blank, number
from headstart.contracts.written_numbers import plain_labels
from headstart.data.schema import Columns
from headstart.data.sources import PartSource, Source
from headstart.data.tables.interface import ItemTable
from headstart.data.unnamed_columns import names_of
from headstart.errors import DataError


@dataclass(frozen=True)
class Record:
    """One row of a table: its number, and what stands in the columns that are read."""

    place: str  # `line 3` or `row 3`
    number: int
    content: tuple[Any, ...]
    label: Any
    split: Any
    group: Any = None
    start: Any = None
    end: Any = None


Located = tuple[str, Source | None, str]  # an item's id, where to read it, or why there is none


def with_plain_labels(records: Sequence[Record], columns: Columns) -> list[Record]:
    """The records, a label that is written as `$1,200` as a number, where all of them are such."""
    if len(columns.labels) != 1:
        return list(records)
    labels, changed = plain_labels([record.label for record in records])
    if not changed:
        return list(records)
    return [replace(r, label=label) for r, label in zip(records, labels, strict=True)]


def records_of(
    table: ItemTable, columns: Columns, contents: Iterable[tuple[Any, ...]]
) -> list[Record]:
    """The rows of a table, with what is to locate the content of each."""
    labels: Iterable[Any] = zip(*map(table.values, columns.labels), strict=True)
    if len(columns.labels) < 2:
        labels = table.values(columns.label) if columns.label else repeat(None)
        names = names_of(table, columns.labels)
        labels = (names[label] for label in labels) if names else labels
    others = (
        table.values(column) if column else repeat(None)
        for column in (columns.split, columns.group, *(columns.span or (None, None)))
    )
    return [
        Record(f"{table.noun} {place}", place, *values)
        for place, *values in zip(table.numbers(), contents, labels, *others, strict=False)
    ]


def parted(record: Record, modality: Modality, place: str, located: Located) -> Located:
    """The part of the content that a row means, if it says between which numbers.

    Raises DataError for what is no number.
    """
    name, source, missing = located
    start, end = (_second(value, place) for value in (record.start, record.end))
    if source is None or (start is None and end is None):
        return located
    span = f"{name} from {start or 0:g}" + ("" if end is None else f" to {end:g}")
    return span, PartSource(source, modality, start, end), missing


def _second(value: Any, place: str) -> float | None:
    if is_blank(value):
        return None
    seconds = number(value)
    if seconds is None or seconds < 0:
        raise DataError(
            f"{place} has {value!r} where a part begins or ends, which is no number of seconds. "
            "Correct the row."
        )
    return seconds
