"""Whether columns may hold what items are made of."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from headstart.contracts import Modality
from headstart.contracts.cells import are_pixels, is_blank, number
from headstart.data.split_columns import USUAL
from headstart.data.tables.interface import ItemTable
from headstart.errors import DataError

NUMBERING = frozenset(  # columns that only count rows
    {"", "id", "idx", "index", "unnamed: 0", "no", "no.", "nr", "nr.", "#", "s.no", "s.no.", "sno"}
)
_CONTENTS = {"image": "pictures", "audio": "sounds", "text": "texts"}  # by the usual column

_MAY_SAY = NUMBERING - {"", "id", "unnamed: 0"}  # where values come again


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


def counters(
    table: ItemTable, passed: Collection[str | None]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """A sentence on columns of rows that by their names only count these, and those that don't.

    Values that come again, of a column that is not called after ids, count nothing.
    """
    names = [n for n in table.names if n not in passed and is_passed(n) and n.lower() != USUAL]
    cells = {name: [v for v in table.values(name) if not is_blank(v)] for name in names}
    own = tuple(
        name
        for name, values in cells.items()
        if name.strip().lower() in _MAY_SAY and len(set(map(str, values))) < len(values)
    )
    left_out = [f"`{name}`" for name in names if name not in own]
    each = "each " * (len(left_out) > 1)
    sentence = f"left out: {', '.join(left_out)}, which {each}counts rows by its name"
    return ((sentence,) if left_out else ()), own


def no_column(table: ItemTable, listed: str, remarks: Sequence[str]) -> DataError:
    """The error for a table of which no column is left to learn from."""
    rows = sum(1 for _ in table.numbers())
    if rows < 2:
        count = "one row" if rows else "no row"
        return DataError(f"{table.path} has {count} besides its header. Give more rows.")
    return DataError(
        f"{table.path} has no column to learn from besides the label; its columns: "
        f"{listed}{''.join(f'; {each}' for each in remarks)}. Give one more column."
    )


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


def lack_of_content(table: ItemTable, names: Sequence[str], modality: Modality) -> str:
    """What a table is whose columns hold no content, and what to do; empty where it isn't known."""
    pixels = [name for name in names if are_pixels(table.values(name))]
    values = [v for name in names for v in table.values(name) if not is_blank(v)]
    kind = _CONTENTS.get(modality.columns[0], "files")
    why = f"is a table of numbers without {kind}, which this backbone reads"
    advice = "Have its rows learned from by -b table:columns, or"
    if pixels and not modality.inline:
        why = f"holds pixels as numbers in {pixels[0]!r}, but no square pictures from 0 to 255"
        advice = "Save each row's as a file, such as by PIL.Image.fromarray, and"
    elif values and all(number(value) is None for value in values):
        return ""
    paths = "" if modality.inline else "paths of "
    return f"{why}. {advice} give a table with a column of {paths}{kind}."
