"""A kind of target: what a data set can say of its items, from a table's cells to the report."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from headstart.contracts.cells import MISSING
from headstart.contracts.labels import Items, LabelRow, Names, Screened, Splits
from headstart.errors import DataError

_NOTHING = 1e-9  # what is less is rounding


class Encoding(Enum):
    """What encoded targets are, by which heads, scores and baselines know what to do with them."""

    INDEX = "index"  # (N,) int64: the number of the one name that an item has
    MARKS = "marks"  # (N, names) float32: 1 for each name that an item has, else 0
    AMOUNTS = "amounts"  # (N, names) float32: how much of each, in the user's units
    OTHER = "other"  # what only the kind's own tasks understand


class Targets(ABC):
    """One kind of target: how labels are read, checked, cut, encoded, counted and shown.

    `name` is what `Task.kind` and records call it, `words` what one of its names is called, and
    several, `unit` what labelled items are counted as. `marks` says whether several label columns
    hold 0 and 1 for each name; None where they may. Two labels of one content that `contradict`
    leave it without any. `verbatim` cells are one name each, as written; `missing` are words for
    none. A `constant` answer is worth comparing with. `problem_type` is transformers' word.
    """

    name: ClassVar[str]
    words: ClassVar[tuple[str, str]] = ("label", "labels")
    unit: ClassVar[str] = "labels"
    encoding: ClassVar[Encoding] = Encoding.OTHER
    marks: ClassVar[bool | None] = None
    verbatim: ClassVar[bool] = False
    problem_type: ClassVar[str | None] = None
    contradict: ClassVar[bool] = True
    constant: ClassVar[bool] = True
    missing: ClassVar[frozenset[str]] = MISSING

    def suits(self, values: Sequence[Any]) -> bool:
        """Whether cells look like labels of this kind, where nothing else says it."""
        return False

    def parted(self, delimiter: str) -> Targets | None:
        """The kind for cells of several labels with a sign between; None where there is none."""

    def remark(self, values: Sequence[Any], column: str) -> str:
        """A sentence where cells that look like this kind might be meant otherwise; else empty."""
        return ""

    @abstractmethod
    def read(self, row: LabelRow) -> str | None:
        """The row's label as a string, equal for equal labels; None where the row has none.

        Raises DataError naming the row when its label is of another kind.
        """

    @abstractmethod
    def names(self, path: Path, items: Items, columns: Names) -> tuple[str, ...]:
        """What the items' labels speak of. Raises DataError when there is nothing to learn."""

    def recognise(self, path: Path, items: Items, names: Names) -> None:
        """Raise DataError for a label that a model with these names can't answer."""

    @abstractmethod
    def encode(self, labels: Sequence[str], names: Names) -> np.ndarray:
        """Labels of N items as an array, as `encoding` says."""

    def brief(self, label: str) -> str:
        """A label as one item's is shown beside others."""
        return label

    def count(self, items: Items, names: Names) -> dict[str, int]:
        """How many items there are of each name, or of all where names don't divide them."""
        return {"items": len(items)}

    @abstractmethod
    def heading(self, names: Names) -> str:
        """What stands behind the number of items in a report, such as `in 2 classes`."""

    def spread(self, items: Items, names: Names) -> str:
        """How a split's labels are spread, for a line of the report; empty if not worth saying."""
        return ""

    def warnings(self, splits: Splits, names: Names) -> list[str]:
        """Sentences on what may spoil a fit."""
        return []

    def screened(
        self, texts: Iterable[str | None], labels: Sequence[str], columns: tuple[str, str]
    ) -> Screened | None:
        """What items and labels say together, in `columns` of these names; None for nothing.

        Texts, None for other items, are read as they are asked for.
        """

    def stratum(self, label: str) -> str:
        """What is cut on its own, so that every split has some of it; all in one by default."""
        return ""

    def demand(self, path: Path, members: Items, usable: Items, names: Names) -> None:
        """Raise DataError when too few items are left of those that could be read."""

    def demand_variety(self, path: Path, train: Items, names: Names) -> None:
        """Raise DataError when all training items have the same label."""
        if len(train) == 1:
            raise DataError(f"{path} leaves one item to learn from. Give more.")
        if len({item.label for item in train}) == 1:
            raise self.unvarying(path, train[0].label)

    def unvarying(self, path: Path, label: str) -> DataError:
        """The error where every item has this label."""
        return DataError(f"{path} has one label for every item, {label!r}. Give some that differ.")

    def task_settings(self, targets: np.ndarray, names: int, weigh: bool) -> dict[str, Any]:
        """What a task may be made with, by training targets; `weigh` allows for weights."""
        return {}

    def only_answer(self, outputs: np.ndarray, names: Names) -> str:
        """What outputs (N, names) answer to all items; empty where answers differ."""
        return ""

    def sums(
        self, answers: Sequence[Mapping[str, Any]], targets: np.ndarray, names: Names
    ) -> tuple[np.ndarray, ...]:
        """What each decoded answer adds to sums for each name, (N, names) each; () for no table."""
        return ()

    def measure(self, sums: Sequence[np.ndarray]) -> np.ndarray:
        """The score of each name by such sums over items, (..., names); NaN where there is none."""
        return ratio(sums[0], sums[1])


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Their quotient, not a number where there is nothing to divide by."""
    sound = below > _NOTHING
    return np.where(sound, above / np.where(sound, below, 1.0), np.nan)
