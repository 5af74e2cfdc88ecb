"""TMX, the exchange format of translation memories: a row a unit, a column a language.

Nothing outside the file is read: a type that the document names is passed over, and one that
declares entities is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import unescape
from pathlib import Path
from typing import Any, Final
from xml.parsers import expat

from headstart.data.tables.interface import TableInMemory
from headstart.errors import DataError

_CODES: Final = frozenset({"bpt", "ept", "it", "ut", "sub"})  # within a text: marks of a layout


def read(path: Path) -> list[TableInMemory]:
    """The units as a table. Raises DataError for what is no XML, no TMX, or declares entities."""
    reader = _Reader(path)
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.DefaultHandler = reader.entity
    parser.EntityDeclHandler = reader.refuse
    try:
        with path.open("rb") as file:
            parser.ParseFile(file)
    except (expat.ExpatError, OSError, ValueError, LookupError) as error:
        raise DataError(f"{path} can't be read as TMX: {error}. Export it again.") from None
    if not reader.units:
        raise DataError(f"{path} holds no unit of a translation memory. Export it again as TMX.")
    if not reader.languages:
        raise DataError(
            f"{path} has no text that says its language (xml:lang). Export it again as TMX."
        )
    names = [*reader.languages.values()]
    rows = [(n, [unit.get(name) for name in names]) for n, unit in enumerate(reader.units, start=1)]
    return [TableInMemory(path, names, rows, noun="unit")]


class _Reader:
    """Units as they are read; `languages` by how they are written in lower case."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.units: list[dict[str, str]] = []
        self.languages: dict[str, str] = {}
        self._language = ""
        self._parts: list[str] | None = None  # of the text that is being read
        self._codes = 0  # that are open within it

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        """An element begins."""
        if name == "tu":
            self.units.append({})
        elif name == "tuv":
            word = (attributes.get("xml:lang") or attributes.get("lang") or "").strip()
            self._language = self.languages.setdefault(word.lower(), word) if word else ""
        elif name == "seg":
            self._parts = []
        elif name in _CODES:
            self._codes += 1

    def end(self, name: str) -> None:
        """An element ends; of two texts in a language the first one stays."""
        if name in _CODES:
            self._codes -= 1
        elif name == "seg" and self._parts is not None:
            text, self._parts = "".join(self._parts), None
            if self._language and self.units:
                self.units[-1].setdefault(self._language, text)

    def text(self, text: str) -> None:
        """Characters."""
        if self._parts is not None and not self._codes:
            self._parts.append(text)

    def entity(self, text: str) -> None:
        """What nothing else reads, such as an entity of the type that is passed over."""
        if text.startswith("&"):
            self.text(unescape(text))

    def refuse(self, *_: Any) -> None:
        """Entities are never needed, and may stand for more than the whole file."""
        raise DataError(
            f"{self.path} declares entities, which translation memories never need, so that it is "
            "not read. Save it without."
        )
