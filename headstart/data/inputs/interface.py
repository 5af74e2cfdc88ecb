"""One thing to answer about, whatever it was made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headstart.data.sources import FileSource, InlineSource, Item, Source, text_content
from headstart.errors import DataError

NO_CONTENT = "the row names no content"


@dataclass(frozen=True, slots=True)
class Input:
    """One thing to answer about, not yet read.

    `name` is its file or the text itself, else its place among several; `id` is what a table calls
    its row, empty elsewhere; `problem` says why there is no source.
    """

    name: str
    source: Source | None
    id: str = ""
    problem: str = ""

    @property
    def item(self) -> Item:
        """It as an item without a label. Raises DataError where it has no content."""
        if self.source is None:
            raise self.unusable(self.problem)
        return Item(self.id or self.name, "", None, self.source)

    def unusable(self, problem: str) -> DataError:
        """The error of an input that a model can't answer about."""
        shown = self.name if isinstance(self.source, FileSource | None) else repr(self.name[:60])
        return DataError(f"{shown} can't be used: {problem}. Give another.")


def of_texts(texts: Sequence[str]) -> Input:
    """One text, or two that are a pair."""
    source = InlineSource(text_content(texts)) if any(texts) else None
    return Input(" | ".join(texts), source, problem="" if source else NO_CONTENT)
