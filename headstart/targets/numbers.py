"""Numbers: one or several quantities an item."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np

from headstart.contracts.cells import is_blank, number
from headstart.contracts.labels import Items, LabelRow, Names, Splits, several
from headstart.contracts.targets import Encoding, Targets, ratio
from headstart.errors import DataError

_MOSTLY = 0.9  # of the labels numbers: the others are then mistakes, not names of classes
_SCALE = 3  # different numbers that may be a scale, such as of stars
_MANY, _FEW_EACH = 20, 5  # different whole numbers, and items of each, from when they are classes
_STILL = 0.01  # standard deviations of a number's training targets


@final
class Numbers(Targets):
    """One number an item, or a list of as many for each. Written with a space in between."""

    name: ClassVar[str] = "numbers"
    words: ClassVar[tuple[str, str]] = ("number", "numbers")
    encoding: ClassVar[Encoding] = Encoding.AMOUNTS
    marks: ClassVar[bool | None] = False
    problem_type: ClassVar[str | None] = "regression"

    def suits(self, values: Sequence[Any]) -> bool:
        """Lists of numbers, fractions, and whole numbers that are too many for classes."""
        lists = [value for value in values if isinstance(value, list)]
        if lists:
            return all(isinstance(each, int | float) for value in lists for each in value)
        cells = [value for value in values if not is_blank(value)]
        numbers = [value for value in map(number, cells) if value is not None]
        if not cells or len(numbers) < _MOSTLY * len(cells):
            return False
        fractions = any(not value.is_integer() for value in numbers)
        return fractions or (len(numbers) == len(cells) and _are_quantities(numbers))

    def remark(self, values: Sequence[Any], column: str) -> str:
        """Where all are whole, and may be names of classes."""
        numbers = {number(value) for value in values if not is_blank(value)}
        whole = None not in numbers and all(float(value or 0).is_integer() for value in numbers)
        if not whole or len(numbers) < _SCALE:
            return ""
        return f"--targets classes reads each number of `{column}` as a class"

    def read(self, row: LabelRow) -> str | None:
        """The numbers, each as Python writes a float."""
        if is_blank(row.value) or row.value == []:
            return None
        values = row.value if isinstance(row.value, list) else [row.value]
        numbers = [number(value) for value in values]
        for value, finite in zip(values, numbers, strict=True):
            if finite is None:
                raise DataError(
                    f"{row.place} has {value!r} as its label, which is no finite number. "
                    "Correct the row, or leave its label empty."
                )
        return " ".join(map(repr, numbers))

    def names(self, path: Path, items: Items, columns: Names) -> tuple[str, ...]:
        """The columns' names, or numbered by a list's place; they must differ somewhere."""
        count = len(items[0].label.split()) if items else 1
        self._demand_count(path, items, count)
        if len({item.label for item in items}) == 1:
            raise self.unvarying(path, items[0].label)
        if len(columns) == count:
            return tuple(columns)
        return tuple(f"{columns[0]} {n + 1}" for n in range(count))

    def unvarying(self, path: Path, label: str) -> DataError:
        """The error where all items have the same numbers."""
        return DataError(
            f"{path} has the same number for every item, {label}. Give some that differ."
        )

    def recognise(self, path: Path, items: Items, names: Names) -> None:
        """Raise DataError where an item has more or fewer numbers than the model answers."""
        self._demand_count(path, items, len(names))

    def encode(self, labels: Sequence[str], names: Names) -> np.ndarray:
        """The numbers in the user's units: (N, numbers) float32."""
        rows = [[float(word) for word in label.split()] for label in labels]
        return np.array(rows, dtype=np.float32).reshape(len(labels), len(names))

    def heading(self, names: Names) -> str:
        """`with one number`."""
        return "with one number" if len(names) == 1 else f"with {len(names)} numbers"

    def spread(self, items: Items, names: Names) -> str:
        """The least, mean and greatest value of each number."""
        values = self.encode([item.label for item in items], names).astype(np.float64)
        parts = [
            f"{name} {low:.4g} to {high:.4g}, mean {mean:.4g}"
            for name, low, high, mean in zip(
                *(names, values.min(axis=0), values.max(axis=0), values.mean(axis=0)), strict=True
            )
        ]
        return several(parts)

    def warnings(self, splits: Splits, names: Names) -> list[str]:
        """Numbers that don't vary in a split."""
        sentences = []
        for split, items in splits.items():
            values = self.encode([item.label for item in items], names)
            still = [
                repr(name)
                for name, own in zip(names, values.T, strict=True)
                if (own == own[0]).all()
            ]
            if still:
                sentences.append(f"Numbers that are the same throughout {split}: {several(still)}.")
        return sentences

    def task_settings(self, targets: np.ndarray, names: int, weigh: bool) -> dict[str, Any]:
        """`mean` and `scale` of each number."""
        exact = targets.astype("float64")
        return {
            "mean": tuple(exact.mean(axis=0).tolist()),
            "scale": tuple(spread or 1.0 for spread in exact.std(axis=0).tolist()),
        }

    def only_answer(self, outputs: np.ndarray, names: Names) -> str:
        """The numbers whose answers vary by less than a hundredth of what their targets do."""
        spreads = zip(names, outputs.std(axis=0), strict=True)
        still = [repr(name) for name, spread in spreads if spread < _STILL]
        return f"the same {', '.join(still)}" if still else ""

    def sums(
        self, answers: Sequence[Mapping[str, Any]], targets: np.ndarray, names: Names
    ) -> tuple[np.ndarray, ...]:
        """For R² in the user's units: squared errors, numbers, their squares, and items.

        A number that never changes adds nothing, so that it has no score.
        """
        true = targets.astype(np.float64)
        scale = np.where((true == true[0]).all(axis=0), np.inf, true.std(axis=0))
        centred = (true - true.mean(axis=0)) / scale
        rows = [list(row.get("values", {"": row.get("value")}).values()) for row in answers]
        errors = (true - np.array(rows, dtype=np.float64)) / scale
        return errors**2, centred, centred**2, np.ones_like(centred)

    def measure(self, sums: Sequence[np.ndarray]) -> np.ndarray:
        """One minus the squared errors over what the numbers vary."""
        errors, total, squares, count = sums
        return np.asarray(1 - ratio(errors, squares - total**2 / count))

    def _demand_count(self, path: Path, items: Items, count: int) -> None:
        for item in items:
            own = len(item.label.split())
            if own != count:
                noun = "number" if own == 1 else "numbers"
                raise DataError(
                    f"{item.id} in {path} has {own} {noun} as its label, not {count}. "
                    "Give as many for every item."
                )


def _are_quantities(numbers: Sequence[float]) -> bool:
    """Whether whole numbers are too many and too uneven to be classes' numbers."""
    counts = Counter(numbers)
    first = min(counts)
    consecutive = first in (0, 1) and max(counts) == first + len(counts) - 1
    if len(counts) < _MANY:  # classes of one item each could not be learned
        return not consecutive and len(counts) >= _SCALE and 2 * len(counts) > len(numbers)
    if consecutive and len(numbers) >= 2 * len(counts):
        return False
    return min(counts.values()) == 1 or len(numbers) < _FEW_EACH * len(counts)
