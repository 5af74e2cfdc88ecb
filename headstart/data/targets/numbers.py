"""Numbers: one or several quantities an item."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, final

import numpy as np

from headstart.data.sources import Item, Row
from headstart.data.tables.cells import is_blank, number
from headstart.data.targets.interface import Splits, Targets, several
from headstart.errors import DataError


@final
class Numbers(Targets):
    """One number an item, or a list of as many for each. Written with a space in between."""

    name: ClassVar[str] = "numbers"

    def read(self, row: Row) -> str | None:
        """The numbers, each as Python writes a float."""
        if is_blank(row.value) or row.value == []:
            return None
        values = row.value if isinstance(row.value, list) else [row.value]
        read = [number(value) for value in values]
        for value, found in zip(values, read, strict=True):
            if found is None:
                raise DataError(
                    f"{row.place} has {value!r} as its label, which is no finite number. "
                    "Correct the row, or leave its label empty."
                )
        return " ".join(map(repr, read))

    def names(self, path: Path, items: Sequence[Item], columns: Sequence[str]) -> tuple[str, ...]:
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

    def recognise(self, path: Path, items: Sequence[Item], known: Sequence[str]) -> None:
        """Raise DataError where an item has more or fewer numbers than the model answers."""
        self._demand_count(path, items, len(known))

    def encode(self, labels: Sequence[str], names: Sequence[str]) -> np.ndarray:
        """The numbers in the user's units: (N, numbers) float32."""
        rows = [[float(word) for word in label.split()] for label in labels]
        return np.array(rows, dtype=np.float32).reshape(len(labels), len(names))

    def heading(self, names: Sequence[str]) -> str:
        """`with one number`."""
        return "with one number" if len(names) == 1 else f"with {len(names)} numbers"

    def spread(self, items: Sequence[Item], names: Sequence[str]) -> str:
        """The least, mean and greatest value of each number."""
        found = self.encode([item.label for item in items], names).astype(np.float64)
        parts = [
            f"{name} {low:.4g} to {high:.4g}, mean {mean:.4g}"
            for name, low, high, mean in zip(
                *(names, found.min(axis=0), found.max(axis=0), found.mean(axis=0)), strict=True
            )
        ]
        return several(parts)

    def warnings(self, splits: Splits, names: Sequence[str]) -> list[str]:
        """Numbers that don't vary in a split."""
        found = []
        for split, items in splits.items():
            values = self.encode([item.label for item in items], names)
            still = [repr(name) for name, own in zip(names, values.T, strict=True) if _still(own)]
            if still:
                found.append(f"Numbers that are the same throughout {split}: {several(still)}.")
        return found

    def _demand_count(self, path: Path, items: Sequence[Item], count: int) -> None:
        for item in items:
            own = len(item.label.split())
            if own != count:
                noun = "number" if own == 1 else "numbers"
                raise DataError(
                    f"{item.id} in {path} has {own} {noun} as its label, not {count}. "
                    "Give as many for every item."
                )


def _still(values: np.ndarray) -> bool:
    return bool((values == values[0]).all())
