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
_SIGNS = ("|", ";", ",", " ")  # which may stand between the labels of one item
_SOME = 0.1  # of the labels have such a sign


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


def parting_sign(labels: Sequence[str]) -> str:
    """The sign between which labels look like several each: many combinations of few words.

    Empty where there is none.
    """
    different = set(labels)
    for sign in _SIGNS:
        if sum(sign in label for label in labels) < max(1, _SOME * len(labels)):
            continue
        sets = [[word.strip() for word in label.split(sign)] for label in different]
        words = {word for own in sets for word in own}
        if "" not in words and len(words) < len(sets) and all(len({*s}) == len(s) for s in sets):
            return sign
    return ""


def demand_known(path: Path, labels: set[str], names: Names) -> None:
    """Raise DataError for a label that is not among the known ones."""
    unknown = sorted(labels - set(names))
    if unknown:
        listing = ", ".join(map(repr, names[:_LISTED])) + (", …" if len(names) > _LISTED else "")
        raise DataError(
            f"{path} has the label {unknown[0]!r}, which is not one of {listing}. Rename it."
        )
