"""Which columns of a table without a header hold texts, and which their classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from headstart.contracts.cells import is_blank
from headstart.data.tables.header import UNNAMED
from headstart.data.tables.interface import ItemTable

_SAMPLE = 1000  # rows
_WORDS = 3  # of a cell, on average, where it is a text
_NAMES = "classes.txt"
_MOST, _FEWEST = 200, 5  # classes, and rows of each on average


def text_columns(table: ItemTable, names: Sequence[str]) -> list[str]:
    """The columns that hold several words a cell, those with most first; none below a header."""
    if UNNAMED not in table.remark:
        return []
    rows = list(table.first_rows(_SAMPLE))
    words = {name: sum(len(str(row.get(name) or "").split()) for row in rows) for name in names}
    return sorted((n for n in names if words[n] >= _WORDS * len(rows)), key=lambda n: -words[n])


def class_columns(table: ItemTable, names: Sequence[str]) -> list[str]:
    """The columns of few different values, one in each row."""
    most = min(_MOST, sum(1 for _ in table.numbers()) / _FEWEST)
    values = {name: {*table.values(name)} for name in names}
    few = (name for name in names if 1 < len(values[name]) <= most)
    return [name for name in few if not any(map(is_blank, values[name]))]


def names_of(table: ItemTable, columns: Sequence[str]) -> Mapping[str, str]:
    """The names of classes that a column counts from 1, as AG News' `classes.txt` has them."""
    path = table.path.with_name(_NAMES)
    if UNNAMED not in table.remark or len(columns) != 1 or not path.is_file():
        return {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    names = {str(n): line.strip() for n, line in enumerate(lines, start=1) if line.strip()}
    fits = len({*names.values()}) == len(names) and {*table.values(columns[0])} <= {*names}
    return names if fits else {}


def naming(table: ItemTable, columns: Sequence[str]) -> str:
    """A phrase on where the names of a column's classes are from."""
    return f", named by `{_NAMES}`" if names_of(table, columns) else ""


def other_texts(texts: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    """A sentence on the second of two columns of texts, of which the first is read."""
    if len(texts) != 2:
        return ()
    both = " ".join(f"--text '{name}'" for name in names if name in texts)
    return (f"`{texts[1]}` holds words, too, and is not used ({both} takes both)",)
