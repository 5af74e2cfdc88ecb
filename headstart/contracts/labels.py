"""What kinds of target look at, rows and items with their labels, and how they list names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from headstart.errors import DataError

FEW = 10  # training items a class or label, below which a warning is due
SHOWN = 5  # entries of a list in a sentence
_LISTED = 20  # names in an error


class LabelRow(Protocol):
    """One row of a data set: its label's cell, and `place`, such as `file.csv line 3`."""

    @property
    def value(self) -> Any:
        """The cell, as the table or the folder has it."""
        ...

    @property
    def place(self) -> str:
        """Where the row stands, for messages."""
        ...


class LabelledItem(Protocol):
    """An item with its label as its kind of target writes it."""

    @property
    def id(self) -> str:
        """The path in the data set, or the row of a table."""
        ...

    @property
    def label(self) -> str:
        """Equal strings for equal labels."""
        ...

    @property
    def split(self) -> str | None:
        """The split that the item is in, if it is in one yet."""
        ...

    @property
    def identity(self) -> str:
        """Equal for items that count as identical."""
        ...


@dataclass(frozen=True)
class Screened:
    """Why each item spoils what is learned, empty where it doesn't, and sentences on all.

    `alike` is equal for items that are near copies, empty where the modality knows it.
    """

    faults: tuple[str, ...]
    alike: tuple[str, ...]
    remarks: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


Items = Sequence[LabelledItem]
Splits = Mapping[str, Items]
Names = Sequence[str]  # what `Dataset.labels` holds: classes, labels of sets, names of numbers


def several(words: Sequence[str]) -> str:
    """The first few of a list, and whether there are more."""
    return ", ".join(words[:SHOWN]) + (", …" if len(words) > SHOWN else "")


def demand_known(path: Path, labels: set[str], names: Names) -> None:
    """Raise DataError for a label that is not among the known ones."""
    unknown = sorted(labels - set(names))
    if unknown:
        listing = ", ".join(map(repr, names[:_LISTED])) + (", …" if len(names) > _LISTED else "")
        raise DataError(
            f"{path} has the label {unknown[0]!r}, which is not one of {listing}. Rename it."
        )
