"""The items that nobody has labelled yet: each content once, without those a model has seen."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headstart.contracts import Modality
from headstart.data import FileSource, Input, Item, Schema, demand_data, inputs_of
from headstart.data.check import check_items
from headstart.errors import DataError
from headstart.runtime.progress import Progress

_NAMED = 5  # broken files that a warning names
_BEGINNING = 100  # signs of a text or a broken file's name in a line


@dataclass(frozen=True)
class Pool:
    """Usable items without labels, and what was left out.

    `labelled_count` counts items that the model was made or judged with, `copies` further ones of
    the same content, and `skipped` names those that can't be read, each with the reason.
    """

    items: tuple[Item, ...]
    labelled_count: int = 0
    copies: int = 0
    skipped: tuple[tuple[str, str], ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """Counts, and the items that can't be read."""
        return {
            "items": len(self.items),
            "known": self.labelled_count,
            "copies": self.copies,
            "skipped": [{"path": name, "error": reason} for name, reason in self.skipped],
        }

    def remarks(self) -> list[str]:
        """Sentences on what was left out."""
        sentences = []
        if self.labelled_count:
            sentences.append(
                f"Left out: {self.labelled_count} whose labels the model was made with."
            )
        if self.copies:
            sentences.append(f"Left out: {self.copies} of the same content as others.")
        if self.skipped:
            first = [f"{_short(name)} ({reason})" for name, reason in self.skipped[:_NAMED]]
            more = len(self.skipped) - _NAMED
            rest = f"; and {more} more" if more > 0 else ""
            sentences.append(f"{len(self.skipped)} can't be used: {'; '.join(first)}{rest}.")
        return sentences


def pool_of(
    data: Any, modality: Modality, schema: Schema, labelled: Collection[str], progress: Progress
) -> Pool:
    """The items that `given` stands for, as `headstart.data.inputs_of` reads it; strings are paths.

    `labelled` are identities of items with labels. Raises DataError where nothing is left.
    """
    if isinstance(data, str | Path):
        demand_data(Path(data))
        data = Path(data)
    inputs = list(inputs_of(data, modality, schema))
    items = [_item(each) for each in inputs if each.source is not None]
    unread = tuple((each.name, each.problem) for each in inputs if each.source is None)
    checked = check_items(items, modality, progress)
    contents: dict[str, Item] = {}
    for item in checked.items:
        contents.setdefault(item.identity, item)
    new = tuple(item for identity, item in contents.items() if identity not in labelled)
    pool = Pool(
        new, len(contents) - len(new), len(checked.items) - len(contents), unread + checked.skipped
    )
    if not new:
        raise DataError(
            f"{_name(data)} holds no item to label: {' '.join(pool.remarks()) or 'it is empty.'} "
            "Give other files."
        )
    return pool


def _item(each: Input) -> Item:
    if isinstance(each.source, FileSource):
        return Item(each.name, "", None, each.source)
    return each.item


def _name(data: Any) -> str:
    return str(data) if isinstance(data, Path) else "What was given"


def shown(item: Item, modality: Modality) -> str:
    """How a line names an item: a file by its path, a text by its beginning."""
    if isinstance(item.source, FileSource):
        return item.id
    words = modality.text(item.read())
    plain = item.id if words is None else " ".join(words.split())
    return _short(plain)


def _short(text: str) -> str:
    return text if len(text) <= _BEGINNING else f"{text[: _BEGINNING - 1]}…"
