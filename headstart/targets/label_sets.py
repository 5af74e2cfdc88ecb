"""Label sets: any number of labels an item."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np

from headstart.contracts.labels import FEW, Items, LabelRow, Names, Splits, demand_known, several
from headstart.contracts.targets import Encoding, Targets
from headstart.errors import DataError


@final
class LabelSets(Targets):
    """A list of labels an item, or text with a delimiter between them; none is a set too.

    Written as a sorted JSON list.
    """

    name: ClassVar[str] = "label sets"
    encoding: ClassVar[Encoding] = Encoding.MARKS
    marks: ClassVar[bool | None] = True
    problem_type: ClassVar[str | None] = "multi_label_classification"

    def __init__(self, delimiter: str | None = None) -> None:
        self.delimiter = delimiter

    def suits(self, values: Sequence[Any]) -> bool:
        """Lists of text, and lists of whole numbers that differ in length."""
        lists = [value for value in values if isinstance(value, list)]
        inside = [each for value in lists for each in value]
        if not inside or not all(isinstance(each, int | float) for each in inside):
            return bool(lists)
        return all(isinstance(n, int) for n in inside) and len({len(value) for value in lists}) > 1

    def parted(self, delimiter: str) -> LabelSets:
        """Sets written with a sign between their labels."""
        return LabelSets(delimiter)

    def read(self, row: LabelRow) -> str | None:
        """The set, sorted. An empty list or field is an empty set; no value at all is no label."""
        value = row.value
        if isinstance(value, str) and self.delimiter:
            value = value.split(self.delimiter)
        if value is None or value != value:
            return None
        if isinstance(value, str):
            raise DataError(
                f"{row.place} has {value!r} as its labels, but nothing says what parts them. "
                "Name it (--delimiter, or delimiter= from Python), or give lists."
            )
        if not isinstance(value, list) or not all(isinstance(n, str | int) for n in value):
            raise DataError(
                f"{row.place} has {value!r} as its labels, which is no list of names. "
                "Give a list of labels in each row."
            )
        names = {str(name).strip() for name in value} - {""}
        return json.dumps(sorted(names), ensure_ascii=False)

    def names(self, path: Path, items: Items, columns: Names) -> tuple[str, ...]:
        """The labels of all sets, sorted; the sets must differ somewhere."""
        every = {item.label for item in items}
        if len(every) == 1:
            raise self.unvarying(path, items[0].label)
        return tuple(sorted({name for label in every for name in _set(label)}))

    def unvarying(self, path: Path, label: str) -> DataError:
        """The error where all items have the same labels."""
        listed = ", ".join(map(repr, _set(label))) or "none"
        return DataError(
            f"{path} has the same labels for every item: {listed}. Give some that differ."
        )

    def recognise(self, path: Path, items: Items, names: Names) -> None:
        """Raise DataError for a label that is not known."""
        every = {item.label for item in items}
        demand_known(path, {name for label in every for name in _set(label)}, names)

    def encode(self, labels: Sequence[str], names: Names) -> np.ndarray:
        """1 where an item has a label, else 0: (N, labels) float32."""
        numbers = {name: number for number, name in enumerate(names)}
        marks = np.zeros((len(labels), len(names)), dtype=np.float32)
        for row, label in zip(marks, labels, strict=True):
            row[[numbers[name] for name in _set(label)]] = 1
        return marks

    def count(self, items: Items, names: Names) -> dict[str, int]:
        """Items with each label; one item may count for several."""
        counts = Counter(name for item in items for name in _set(item.label))
        return {name: counts[name] for name in names}

    def heading(self, names: Names) -> str:
        """`with sets of 5 labels`."""
        return f"with sets of {len(names)} {'label' if len(names) == 1 else 'labels'}"

    def spread(self, items: Items, names: Names) -> str:
        """How many labels an item has, how many have none, and how often labels occur."""
        counts = sorted(self.count(items, names).values())
        bare = sum(not _set(item.label) for item in items)
        parts = [f"{sum(counts) / len(items):.2f} labels an item"]
        parts += [f"{bare} without any"] if bare else []
        return ", ".join([*parts, f"{counts[0]} to {counts[-1]} items a label"])

    def warnings(self, splits: Splits, names: Names) -> list[str]:
        """Labels that training never or always has, or hardly ever."""
        train = splits.get("train", ())
        counts = self.count(train, names)
        if not train:
            return []
        never = [repr(name) for name, count in counts.items() if not count]
        always = [repr(name) for name, count in counts.items() if count == len(train)]
        rare = [f"{name!r} {count}" for name, count in counts.items() if 0 < count < FEW]
        sentences = {
            "Labels that no training item has, so that they are never predicted": never,
            "Labels that every training item has, so that they are always predicted": always,
            f"Labels of fewer than {FEW} training items": rare,
        }
        return [f"{what}: {several(labels)}." for what, labels in sentences.items() if labels]

    def only_answer(self, outputs: np.ndarray, names: Names) -> str:
        """The labels that every item gets."""
        marks = outputs > 0
        if (marks != marks[0]).any():
            return ""
        return ", ".join(repr(str(name)) for name in np.array(names)[marks[0]]) or "no label"

    def sums(
        self, answers: Sequence[Mapping[str, Any]], targets: np.ndarray, names: Names
    ) -> tuple[np.ndarray, ...]:
        """For the F1 of each label: twice those that are right, and all in sets and answers."""
        true, sets = targets > 0, (set(answer["labels"]) for answer in answers)
        predicted = np.array([[name in answer for name in names] for answer in sets])
        return 2.0 * (true & predicted), true.astype(np.float64) + predicted


def _set(label: str) -> list[str]:
    names: list[str] = json.loads(label)
    return names
