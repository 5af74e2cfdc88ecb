"""What a page is made of: sections with sentences, figures, tables and cards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MOST_ROWS = 2000  # of one table; the record beside the page has them all


@dataclass(frozen=True)
class Table:
    """Columns and rows of text; `left_out` says how many rows were too many to show."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left_out: int = 0

    @classmethod
    def of(cls, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
        """The first rows with each cell as text: numbers to three places, nothing for None."""
        shown = tuple(tuple(map(cell, row)) for row in rows[:MOST_ROWS])
        return cls(tuple(columns), shown, max(0, len(rows) - MOST_ROWS))


@dataclass(frozen=True)
class Figure:
    """A figure as plotly.js takes it, what it shows in words, and its numbers.

    `widest` is the width in pixels beyond which the figure doesn't grow.
    """

    name: str
    summary: str
    drawing: Mapping[str, Any]
    table: Table
    title: str = ""
    widest: int | None = None


@dataclass(frozen=True)
class Card:
    """An item worth looking at: what is said of it, and the training items nearest to it.

    `explained` is the key of the picture or line that says why the model answers so.
    """

    item: str
    facts: tuple[tuple[str, str], ...]
    nearest: tuple[str, ...]
    explained: str = ""


@dataclass(frozen=True)
class Group:
    """Cards of one kind under a title."""

    title: str
    said: str
    cards: tuple[Card, ...]


@dataclass(frozen=True)
class Section:
    """One part of the page. `checks` are sentences that hold or do not; `code` is for a terminal.

    `tables` have titles; one with an empty title stands open, the others behind theirs.
    """

    name: str
    title: str
    said: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()
    tables: tuple[tuple[str, Table], ...] = ()
    groups: tuple[Group, ...] = ()
    checks: tuple[tuple[str, bool], ...] = ()
    warnings: tuple[str, ...] = ()
    code: str = ""


def explained(item: str) -> str:
    """The key of an item's explanation among a page's pictures."""
    return f"{item} explained"


def cell(value: Any) -> str:
    """A value as a cell of a table."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.3f}"
    return str(value)


def between(found: Mapping[str, Any] | None, scale: float = 1.0) -> str:
    """The bounds of an interval as text; nothing where there are none."""
    if not found or found.get("low") is None or found.get("high") is None:
        return ""
    return f"{scale * found['low']:.3f} – {scale * found['high']:.3f}"


def value_of(found: Mapping[str, Any] | None) -> float | None:
    """The estimate of an interval that may be absent."""
    return found["value"] if found else None
