"""What a page is made of: sections with sentences, figures, tables and cards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MOST_ROWS = 2000  # of one table; the record beside the page has them all
MOST_CARDS = 12  # of one kind
NEAREST = 4  # training items beside one card
MANY = 20  # rows of a figure from which on it is folded, and its table stands open


@dataclass(frozen=True)
class Table:
    """Columns and rows of text; `left_out` says how many rows were too many to show.

    `meters` are for each row the shares, 0 to 1, that bars in column `metered` show. `headings`
    stand before the rows of those numbers.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left_out: int = 0
    metered: int | None = None
    meters: tuple[float, ...] = ()
    headings: Mapping[int, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        columns: Sequence[str],
        rows: Sequence[Sequence[Any]],
        metered: int | None = None,
        headings: Mapping[int, str] | None = None,
    ) -> Table:
        """The first rows with each cell as text: numbers to three places, nothing for None."""
        first = rows[:MOST_ROWS]
        cells = tuple(tuple(map(cell, row)) for row in first)
        left_out = max(0, len(rows) - MOST_ROWS)
        shares = () if metered is None else tuple(_share(row[metered]) for row in first)
        return cls(tuple(columns), cells, left_out, metered, shares, headings or {})


@dataclass(frozen=True)
class Figure:
    """A figure as plotly.js takes it, what it shows in words, and its numbers.

    `widest` is the width in pixels beyond which the figure doesn't grow. One that is `folded` has
    too many rows to be read at a glance: its table stands open instead.
    """

    name: str
    summary: str
    drawing: Mapping[str, Any]
    table: Table
    title: str = ""
    widest: int | None = None
    folded: bool = False


@dataclass(frozen=True)
class Near:
    """A training item beside a card, and its label where that is known."""

    item: str
    label: str = ""


@dataclass(frozen=True)
class Card:
    """An item worth looking at: what is said of it, and the training items nearest to it.

    `explained` is the key of the picture or line that says why the model answers so.
    """

    item: str
    facts: tuple[tuple[str, str], ...]
    nearest: tuple[Near, ...]
    explained: str = ""


@dataclass(frozen=True)
class Group:
    """Cards of one kind under a title."""

    title: str
    text: str
    cards: tuple[Card, ...]


@dataclass(frozen=True)
class Section:
    """One part of the page. `checks` are sentences that hold or do not; `code` is for a terminal.

    `tables` have titles; one with an empty title stands open, the others behind theirs. `facts` are
    a list of names and what they are.
    """

    name: str
    title: str
    sentences: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()
    tables: tuple[tuple[str, Table], ...] = ()
    groups: tuple[Group, ...] = ()
    checks: tuple[tuple[str, bool], ...] = ()
    warnings: tuple[str, ...] = ()
    code: str = ""
    facts: tuple[tuple[str, str], ...] = ()


def explained(item: str) -> str:
    """The key of an item's explanation among a page's pictures."""
    return f"{item} explained"


def large(item: str) -> str:
    """The key of an item's large picture among a page's pictures."""
    return f"{item} large"


def sound(item: str) -> str:
    """The key of what can be heard of an item among a page's pictures."""
    return f"{item} sound"


def cell(value: Any) -> str:
    """A value as a cell of a table."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.3f}"
    return str(value)


def between(estimate: Mapping[str, Any] | None) -> str:
    """The bounds of an interval as text; nothing where there are none."""
    if not estimate or estimate.get("low") is None or estimate.get("high") is None:
        return ""
    return f"{estimate['low']:.3f} – {estimate['high']:.3f}"


def value_of(estimate: Mapping[str, Any] | None) -> float | None:
    """The estimate of an interval that may be absent."""
    return estimate["value"] if estimate else None


def _share(value: Any) -> float:
    """A number as a share that a bar can show; 0 for none."""
    return min(max(float(value), 0.0), 1.0) if isinstance(value, int | float) else 0.0
