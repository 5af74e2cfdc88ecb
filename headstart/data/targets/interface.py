"""What a data set can say of its items: one interface for classes, numbers and label sets."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from headstart.data.sources import Item, Row
from headstart.errors import DataError

FEW = 10  # training items a class or label, below which a warning is due
SHOWN = 5  # entries of a list in a sentence
Splits = Mapping[str, Sequence[Item]]


class Targets(ABC):
    """One kind of target: how labels are read, written as strings, checked, counted and encoded.

    `names` are what `Dataset.labels` holds: the classes, the labels of the sets, or the numbers.
    """

    name: ClassVar[str]  # as in Schema.kind and Task.kind

    @abstractmethod
    def read(self, row: Row) -> str | None:
        """The row's label as a string, equal for equal labels; None where the row has none.

        Raises DataError naming the row when its label is of another kind.
        """

    @abstractmethod
    def names(self, path: Path, items: Sequence[Item], columns: Sequence[str]) -> tuple[str, ...]:
        """What the items' labels speak of. Raises DataError when there is nothing to learn."""

    def recognise(self, path: Path, items: Sequence[Item], known: Sequence[str]) -> None:
        """Raise DataError for a label that a model with these names can't answer."""
        return

    @abstractmethod
    def encode(self, labels: Sequence[str], names: Sequence[str]) -> np.ndarray:
        """Labels of N items as an array: (N,) int64 classes, else (N, names) float32."""

    def count(self, items: Sequence[Item], names: Sequence[str]) -> dict[str, int]:
        """How many items there are of each name, or of all where names don't divide them."""
        return {"items": len(items)}

    @abstractmethod
    def heading(self, names: Sequence[str]) -> str:
        """What stands behind the number of items in a report, such as `in 2 classes`."""

    def spread(self, items: Sequence[Item], names: Sequence[str]) -> str:
        """How a split's labels are spread, for a line of the report; empty if not worth saying."""
        return ""

    def warnings(self, splits: Splits, names: Sequence[str]) -> list[str]:
        """Sentences on what may spoil a fit."""
        return []

    def stratum(self, label: str) -> str:
        """What is cut on its own, so that every split has some of it; all in one by default."""
        return ""

    def demand(
        self, path: Path, kept: Sequence[Item], usable: Sequence[Item], names: Sequence[str]
    ) -> None:
        """Raise DataError when too few items are left of those that could be read."""
        return

    def demand_variety(self, path: Path, train: Sequence[Item], names: Sequence[str]) -> None:
        """Raise DataError when all training items have the same label."""
        if len({item.label for item in train}) == 1:
            raise self.unvarying(path, train[0].label)

    def unvarying(self, path: Path, label: str) -> DataError:
        """The error where every item has this label."""
        return DataError(f"{path} has one label for every item, {label!r}. Give some that differ.")


def several(words: Sequence[str]) -> str:
    """The first few of a list, and whether there are more."""
    return ", ".join(words[:SHOWN]) + (", …" if len(words) > SHOWN else "")
