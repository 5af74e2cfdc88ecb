"""Several label columns: one task together, or each a task of its own, by what its cells are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from headstart.contracts.cells import is_blank, mark
from headstart.data.schema import Schema
from headstart.data.sources import Contents
from headstart.data.targets import kind_named, kind_of, settle


def alone(contents: Contents, columns: Sequence[str]) -> Contents:
    """Of what several label columns were read of, what some of them say."""
    places = [contents.columns.index(name) for name in columns]

    def own(value: Any) -> Any:
        cells = tuple(value[place] for place in places) if value is not None else None
        return cells[0] if cells and len(cells) == 1 else cells

    rows = tuple(replace(row, value=own(row.value)) for row in contents.rows)
    return replace(contents, rows=rows, columns=tuple(columns), column=",".join(columns))


def kind_alone(contents: Contents, schema: Schema) -> str:
    """The kind of target that label columns are of by themselves. Raises DataError for none."""
    kind = kind_named(schema.kind) if schema.kind else None
    return kind_of(settle(contents, schema, kind), schema).name


def are_one_task(contents: Contents) -> bool:
    """Whether several columns are read together, as all hold numbers, or 0 and 1.

    Most of their cells say so: another is then a mistake, of which the row is named.
    """
    return all(_holds_numbers(cells(contents, n)) for n in range(len(contents.columns)))


def _holds_numbers(column: Iterator[Any]) -> bool:
    whole = [cell for cell in column if not is_blank(cell)]
    return 2 * sum(mark(cell) is not None for cell in whole) >= len(whole)


def cells(contents: Contents, place: int) -> Iterator[Any]:
    """What stands in one of several label columns."""
    return (row.value[place] for row in contents.rows if row.value is not None)
