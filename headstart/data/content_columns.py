"""Whether columns may hold what items are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from headstart.contracts import Modality
from headstart.contracts.cells import is_blank, number
from headstart.data.split_columns import USUAL
from headstart.data.tables.interface import ItemTable

NUMBERING = frozenset(  # columns that only count rows
    {"", "id", "idx", "index", "unnamed: 0", "no", "no.", "nr", "nr.", "#", "s.no", "s.no.", "sno"}
)


def may_hold_content(table: ItemTable, names: Sequence[str], modality: Modality) -> bool:
    """Whether any of the columns may hold content: numbers and categories don't.

    Paths have dots or slashes; texts have words, or differ from row to row. A single column
    beside the label may hold texts, however few differ.
    """
    columns = [[str(v) for v in table.values(n) if not is_blank(v)] for n in names]
    words = [cells for cells in columns if any(number(cell) is None for cell in cells)]
    if not any(True for _ in table.numbers()):
        return True
    if not modality.inline:
        return any(any(set("./\\") & set(cell) for cell in cells) for cells in words)
    if len(words) == len(names) == 1:
        return True
    return any(
        len(set(cells)) > len(cells) / 2 or sum(len(c.split()) for c in cells) > 3 * len(cells)
        for cells in words
    )


def is_passed(name: str) -> bool:
    """Whether a column by its name only counts rows, names splits or nothing."""
    word = name.strip().lower()
    return word in (USUAL, *NUMBERING) or word.startswith("unnamed: ")


def span(
    lower: Mapping[str, str], modality: Modality, other_columns: tuple[str, ...]
) -> tuple[str, str] | None:
    """The columns between whose numbers only a part of the content is meant, if any are.

    `lower` has the columns' names by how they read in lower case; the first of `other_columns`
    holds the content.
    """
    names = [lower.get(name) for name in modality.span or ()]
    first, last = names or (None, None)
    if first is None or last is None or {first, last} & set(other_columns):
        return None
    if other_columns[0].lower().startswith("slice"):  # of which each is a file already
        return None
    return first, last
