"""Classes: one label an item."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np

from headstart import defaults
from headstart.contracts.cells import is_blank, number
from headstart.contracts.labels import (
    FEW,
    Items,
    LabelRow,
    Names,
    Splits,
    demand_known,
    parting_sign,
    several,
)
from headstart.contracts.targets import Encoding, Targets
from headstart.errors import DataError

IMBALANCED = 3.0  # largest to smallest class of the training split
_SOME = 0.1  # of the labels parted by a sign: they may be several each
_MANY = 20  # classes, most of which are numbers: these were meant
_NO_LABELS = frozenset({"?", "??", "-", "--", "---", ".", "_", "n.a.", "unlabeled", "unlabelled"})
_SCALE = 3  # different numbers that may be a scale, such as of stars


@final
class Classes(Targets):
    """One label an item: text, or a number as it is written."""

    name: ClassVar[str] = "classes"
    words: ClassVar[tuple[str, str]] = ("class", "classes")
    encoding: ClassVar[Encoding] = Encoding.INDEX
    marks: ClassVar[bool | None] = True
    verbatim: ClassVar[bool] = True
    problem_type: ClassVar[str | None] = "single_label_classification"

    def remark(self, values: Sequence[Any], column: str) -> str:
        """Where whole numbers may be quantities, or words with `|` several labels each."""
        words = [value.strip() for value in values if isinstance(value, str) and value.strip()]
        bars = sum("|" in word for word in words)
        sign = "|" if bars and bars >= _SOME * len(words) else parting_sign(words)
        if sign:
            parted = next(word for word in words if sign in word)
            return (
                f"{parted!r} is read as one class (--delimiter '{sign}' parts it into several "
                "labels)"
            )
        none = sorted({word.strip() for word in words} & _NO_LABELS)
        if none and len({*words}) > len(none) + 1:
            return (
                f"{none[0]!r} is read as a class (--missing '{','.join(none)}' leaves its rows out)"
            )
        numbers = {number(value) for value in values if not is_blank(value)}
        if None in numbers or len(numbers) < _SCALE:
            return ""
        return (
            f"the {len(numbers)} different numbers of `{column}` are read as classes "
            "(--targets numbers reads them as quantities)"
        )

    def read(self, row: LabelRow) -> str | None:
        """The class's name."""
        value = row.value
        if value is None or value != value:  # NaN is how tables say that there is none
            return None
        if isinstance(value, str | int | float | Decimal):
            return str(value).strip() or None
        raise DataError(
            f"{row.place} has {value!r} as its label, which is neither text nor a number. "
            "Give one label a row."
        )

    def names(self, path: Path, items: Items, columns: Names) -> tuple[str, ...]:
        """The classes, sorted; at least two."""
        labels = tuple(sorted({item.label for item in items}))
        if len(labels) == 1:
            raise self.unvarying(path, labels[0])
        return labels

    def unvarying(self, path: Path, label: str) -> DataError:
        """The error of a data set with one class."""
        return DataError(f"{path} has only one class, {label!r}. Give at least two.")

    def recognise(self, path: Path, items: Items, names: Names) -> None:
        """Raise DataError for a class that is not known."""
        demand_known(path, {item.label for item in items}, names)

    def encode(self, labels: Sequence[str], names: Names) -> np.ndarray:
        """The number of each item's class: (N,) int64."""
        numbers = {name: number for number, name in enumerate(names)}
        return np.array([numbers[label] for label in labels], dtype=np.int64)

    def stratum(self, label: str) -> str:
        """Each class is cut on its own."""
        return label

    def demand(self, path: Path, members: Items, usable: Items, names: Names) -> None:
        """Raise DataError for a class with fewer than 2 different items, or none to train on."""
        different = Counter(label for label, _ in {(item.label, item.identity) for item in members})
        valid = {item.label for item in usable}
        learned = {item.label for item in members if item.split in (None, "train")}
        for label in names:
            if different[label] == 0:
                why = "all repeat other labels' content" if label in valid else "none could be read"
                raise DataError(
                    f"Class {label!r} in {path} has no usable item left: {why}. Add some."
                )
            if different[label] < 2:
                raise DataError(
                    _nearly_numbers(path, names)
                    or (f"Class {label!r} in {path} has only one usable item. Give at least two.")
                )
            if label not in learned:
                raise DataError(
                    f"Class {label!r} in {path} has nothing to train on, only held-out items. "
                    "Add some to the training split or remove the class."
                )

    def count(self, items: Items, names: Names) -> dict[str, int]:
        """Items of each class."""
        counts = Counter(item.label for item in items)
        return {name: counts[name] for name in names}

    def heading(self, names: Names) -> str:
        """`in 2 classes`."""
        return f"in {len(names)} {'class' if len(names) == 1 else 'classes'}"

    def spread(self, items: Items, names: Names) -> str:
        """The sizes of the smallest and the largest class."""
        sizes = sorted(self.count(items, names).values())
        return f"{sizes[0]} to {sizes[-1]} a class" if len(sizes) > 1 else ""

    def warnings(self, splits: Splits, names: Names) -> list[str]:
        """Small, missing and unequal classes."""
        counts = {name: self.count(items, names) for name, items in splits.items()}
        train = counts.pop("train", {})
        sentences = []
        small = [f"{label!r} {count}" for label, count in train.items() if count < FEW]
        if small:
            sentences.append(f"Classes with fewer than {FEW} training items: {several(small)}.")
        for name, own in counts.items():
            missing = [repr(label) for label, count in own.items() if not count]
            if missing:
                sentences.append(f"Classes with nothing in {name}: {several(missing)}.")
        sizes = [count for count in train.values() if count]
        if sizes and max(sizes) > IMBALANCED * min(sizes):
            ratio = max(sizes) / min(sizes)
            sentences.append(f"The largest class has {ratio:.1f} times the items of the smallest.")
        return sentences

    def task_settings(self, targets: np.ndarray, names: int, weigh: bool) -> dict[str, Any]:
        """`smoothing` and, if `weigh` and classes are uneven, one weight a class.

        What is fitted with weights is judged so, `balanced`.
        """
        counts = tuple(int((targets == label).sum()) for label in range(names))
        weights = defaults.class_weights(counts) if weigh else None
        uneven = {"balanced": True} if weights else {}
        return {"weights": weights, "smoothing": defaults.smoothing(len(targets))} | uneven

    def only_answer(self, outputs: np.ndarray, names: Names) -> str:
        """The class that is likeliest for every item."""
        likeliest = outputs.argmax(axis=1)
        return "" if (likeliest != likeliest[0]).any() else repr(names[likeliest[0]])


def _nearly_numbers(path: Path, names: Names) -> str:
    """A sentence where classes are numbers but for a few, and so many that none was meant."""
    strange = [name for name in names if number(name) is None]
    if len(names) < _MANY or not 0 < len(strange) <= len(names) // 10:
        return ""
    return (
        f"The labels in {path} are numbers but for {', '.join(map(repr, strange[:3]))}, and so are "
        "read as classes. Correct these, or leave them empty."
    )
