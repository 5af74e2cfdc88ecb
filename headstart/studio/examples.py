"""Examples: what is given, and what is kept of it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, final

from headstart.contracts import Modality
from headstart.data import FileSource, InlineSource, Item, Source
from headstart.data.sources import digest, text_content
from headstart.errors import DataError
from headstart.labelling.sheet import Content

ITEMS: Final = "items"  # the folder of files, in that of a session


@final
@dataclass(frozen=True)
class RawExample:
    """Something that is given as an example: its bytes, its file's name, its class if it has one.

    Without bytes, `problem` says why.
    """

    name: str
    raw: bytes
    label: str | None = None
    problem: str = ""


@final
@dataclass(frozen=True)
class Example:
    """One example: the item with its class as label, empty for none, and its row in a table."""

    item: Item
    content: Content
    sketch: str

    @property
    def key(self) -> str:
        """What the page calls it: the hash of its content."""
        return self.item.identity


@final
@dataclass
class Intake:
    """What became of things that were given: how many are new, and those that can't be used."""

    new: int = 0
    known: int = 0
    problems: list[str] = field(default_factory=list)

    def sentence(self) -> str:
        """A sentence; of many problems the first few."""
        words = [f"{self.new} added" if self.new != 1 else "1 added"]
        words += [f"{self.known} there already"] if self.known else []
        more = len(self.problems) - 3
        broken = " ".join(self.problems[:3]) + (f" And {more} more." if more > 0 else "")
        return f"{', '.join(words)}. {broken}".strip()


def example_of(raw_example: RawExample, modality: Modality, folder: Path) -> Example:
    """An example as a session in this folder keeps it. Raises DataError for what is none."""
    if raw_example.problem:
        raise _unusable(raw_example, raw_example.problem)
    raw = (
        text_content([modality.text(raw_example.raw) or ""]) if modality.inline else raw_example.raw
    )
    hashed, check = digest(raw), modality.check(raw)
    if check.problem is not None:
        raise _unusable(raw_example, check.problem.rstrip("."))
    source: Source
    if modality.inline:
        content, source = raw.decode("utf-8", "surrogatepass"), InlineSource(raw)
    else:
        content = f"{ITEMS}/{hashed}{_suffix(raw_example, modality)}"
        source = FileSource(folder / content)
    identity = digest(check.identity.encode()) if check.identity else hashed
    item = Item(raw_example.name, raw_example.label or "", None, source, hashed, identity)
    return Example(item, (content,), check.sketch)


def _suffix(raw_example: RawExample, modality: Modality) -> str:
    suffix = os.path.splitext(raw_example.name)[1].lower()
    if suffix not in modality.suffixes:
        raise _unusable(raw_example, f"files that count are {', '.join(sorted(modality.suffixes))}")
    return suffix


def _unusable(raw_example: RawExample, problem: str) -> DataError:
    return DataError(f"{raw_example.name[:100]} can't be used: {problem}. Give another.")
