"""Columns that number the classes that a column beside them names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from headstart.contracts.cells import is_blank, number
from headstart.data.tables.interface import ItemTable

_CLASS_WORDS = frozenset(
    {"label", "labels", "class", "classes", "classid", "classname", "category", "target", "y"}
)
_SAMPLE = 100  # rows by which most columns are told to be none of both
_FEWEST = 2  # rows to a class, on average
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")


def twins(
    table: ItemTable, among: Sequence[str], labels: Sequence[str], numbers_wanted: bool
) -> dict[str, str]:
    """By each column that says the same classes as another, that other, which goes before it.

    Names go before numbers, unless these are among the `labels` that the user names, or wanted.
    """
    return {
        (naming if numbers_wanted or numbering in labels else numbering): (
            numbering if numbers_wanted or numbering in labels else naming
        )
        for numbering, naming in _class_names(table, among).items()
    }


def _class_names(table: ItemTable, among: Sequence[str]) -> dict[str, str]:
    """By each column of whole numbers that of words which says every number by one name of its own.

    One of the two is called after classes, as `target` beside `category`, or `label` beside
    `label_text`.
    """
    sample = list(table.first_rows(_SAMPLE))
    cells = {name: [row.get(name) for row in sample] for name in among}
    numbers = [name for name in among if _all(cells[name], _is_whole)]
    words = [name for name in among if _all(cells[name], _is_word)]
    return {
        numbering: naming
        for naming in reversed(words)
        for numbering in numbers
        if _called_after_classes(numbering) or _called_after_classes(naming)
        if _one_to_one(cells[numbering], cells[naming], 1)
        if _one_to_one([*table.values(numbering)], [*table.values(naming)], _FEWEST)
    }


def _all(cells: Sequence[Any], fits: Any) -> bool:
    filled = [
        cell for cell in cells if not (isinstance(cell, str | float | None) and is_blank(cell))
    ]
    return bool(filled) and all(map(fits, filled))


def _is_whole(cell: Any) -> bool:
    value = number(cell)
    return value is not None and value.is_integer()


def _is_word(cell: Any) -> bool:
    return isinstance(cell, str) and number(cell) is None


def _called_after_classes(name: str) -> bool:
    words = re.findall("[a-z]+", _CAMEL.sub(" ", name).lower())
    return not _CLASS_WORDS.isdisjoint(words)


def _one_to_one(numbers: Sequence[Any], names: Sequence[Any], rows_each: int) -> bool:
    """Whether each number stands beside one name alone, and each name beside one number."""
    pairs = {
        (number(one), str(other).strip())
        for one, other in zip(numbers, names, strict=True)
        if not (is_blank(one) and is_blank(other))
    }
    few = 1 < len(pairs) <= len(numbers) / rows_each if rows_each > 1 else bool(pairs)
    return few and len({one for one, _ in pairs}) == len(pairs) == len(
        {other for _, other in pairs}
    )
