"""Columns `translation` as Hugging Face has them: a column for each language in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from headstart.data.sources import Source
from headstart.data.tables.interface import ItemTable

_NAMES = ("translation", "translations")


def folded(names: Sequence[str]) -> str | None:
    """The column of several texts, by its name; None where there is none."""
    return next((name for name in names if name.lower() in _NAMES), None)


def texts_in(cells: Iterable[Any]) -> tuple[str, ...]:
    """What the texts in such cells are called; none where they are no mappings to texts."""
    first = next((cell for cell in cells if cell is not None), None)
    if not isinstance(first, Mapping):
        return ()
    plain = all(isinstance(value, str | None) for value in first.values())
    return tuple(map(str, first)) if plain else ()


def unfolded(table: ItemTable) -> ItemTable:
    """The same with a column for each language, where one holds a mapping of them."""
    column = folded(table.names)
    languages = texts_in(table.values(column)) if column else ()
    if not column or not languages or set(languages) & set(table.names):
        return table
    names = [n for name in table.names for n in (languages if name == column else (name,))]
    return _Unfolded(table.path, names, table, column, languages, table.noun, table.remark)


def text_of(cell: Any, language: str) -> Any:
    """One language's text in such a cell."""
    return cell.get(language) if isinstance(cell, Mapping) else None


@final
@dataclass(frozen=True)
class _Unfolded(ItemTable):
    """Another table, in place of one column those of its texts."""

    path: Path
    names: Sequence[str]
    table: ItemTable
    column: str
    languages: Sequence[str]
    noun: str
    remark: str = ""

    def numbers(self) -> Iterable[int]:
        """As the table counts."""
        return self.table.numbers()

    def values(self, column: str) -> Iterable[Any]:
        """Each row's value, or its text in a language."""
        if column not in self.languages:
            return self.table.values(column)
        return self._texts(column)

    def texts(self, column: str) -> Iterable[Any]:
        """Each row's text."""
        return self._texts(column) if column in self.languages else self.table.texts(column)

    def first_rows(self, count: int) -> Iterable[Mapping[str, Any]]:
        """The first rows by the table's own columns."""
        return self.table.first_rows(count)

    def holds_bytes(self, column: str) -> bool:
        """Whether a column holds the bytes of files."""
        return column not in self.languages and self.table.holds_bytes(column)

    def contents(self, column: str) -> Iterable[Source | Any]:
        """Each row's content."""
        return self._texts(column) if column in self.languages else self.table.contents(column)

    def _texts(self, column: str) -> Iterator[Any]:
        return (text_of(cell, column) for cell in self.table.values(self.column))
