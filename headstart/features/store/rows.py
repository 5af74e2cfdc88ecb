"""Stored rows as arrays and tensors: how numbers are written, and how they are read back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, final

import numpy as np

from headstart.errors import HeadstartError
from headstart.features.cache import Use
from headstart.features.store.records import sums_of
from headstart.features.store.shapes import Shape

if TYPE_CHECKING:
    from torch import Tensor

Precision = Literal["fp32", "bf16"]
STORED: dict[str, np.dtype] = {"fp32": np.dtype("<f4"), "bf16": np.dtype("<i2")}


def narrowed(values: np.ndarray, dtype: str) -> np.ndarray:
    """A copy of numbers as they are stored; bf16 is rounded to nearest, ties to even."""
    single = np.array(values, "<f4", order="C")
    if dtype == "fp32":
        return single
    bits = single.view("<u4")
    rounded = (bits + (0x7FFF + ((bits >> 16) & 1))) >> 16
    quiet = (bits >> 16) | 0x40  # rounding could turn a NaN into an infinity, or into a zero
    return np.where(np.isnan(single), quiet, rounded).astype("<u2").view(STORED["bf16"])


def widened(rows: np.ndarray) -> np.ndarray:
    """Stored numbers in float32, exactly."""
    if rows.dtype == STORED["fp32"]:
        return rows
    return (rows.view("<u2").astype("<u4") << 16).view("<f4")


@final
class Rows:
    """Stored rows in the order they were asked for; indexing reads only what it needs from disk.

    Each row's checksum is compared when the row is first read. A damaged row raises HeadstartError
    and is struck from the store, so that the next extraction computes it again. While this object
    lives, its store counts as in use.
    """

    def __init__(
        self,
        where: np.ndarray,
        sums: np.ndarray,
        shape: Shape,
        content: np.ndarray,
        strike: Callable[[np.ndarray], Path],
        use: Use | None,
    ) -> None:
        self._where = where
        self._sums = sums
        self.shape = shape
        self._content = content  # (total, numbers a row), mapped
        self._strike = strike  # takes rows out of the store and answers where that is
        self._use = use
        self._positions = np.arange(len(where))
        self._checked = np.zeros(len(where), bool)

    @classmethod
    def in_memory(cls, rows: np.ndarray) -> Rows:
        """Rows (N, D) that lie in no store, as they are."""
        single = np.asarray(rows, dtype="<f4")
        shape, places = Shape.alone(single.shape[1:]), np.arange(len(single))
        return cls(places, sums_of(single), shape, single, lambda _: Path(), None)

    def __len__(self) -> int:
        return len(self._where)

    def __getitem__(self, positions: np.ndarray) -> Any:
        """The rows at these positions (N, …) in float32, or several by name."""
        return self.shape.apart(widened(self._read(self._positions[positions])))

    def tensor(self, positions: np.ndarray) -> Tensor:
        """The rows at these positions (N, …) in the type they are stored in, float32 or bf16.

        Named ones lie behind one another: (N, numbers).
        """
        import torch

        values = torch.from_numpy(self._read(self._positions[positions]))
        tensor = values if values.dtype == torch.float32 else values.view(torch.bfloat16)
        rows: Tensor = self.shape.apart(tensor) if self.shape.is_alone else tensor
        return rows

    def inputs(self, positions: np.ndarray) -> Any:
        """What a stage takes in: the rows at these positions (N, …), float32, or several by name.

        Named ones that were no floating-point numbers are of the type they had.
        """
        import torch

        if self.shape.is_alone:
            return self.tensor(positions).float()
        return {name: torch.from_numpy(rows) for name, rows in self[positions].items()}

    def all(self) -> Any:
        """Every row, in memory, in float32, or several by name."""
        return self[self._positions]

    def _read(self, positions: np.ndarray) -> np.ndarray:
        rows: np.ndarray = self._content[self._where[positions]]
        if not self._checked[positions].all():
            self._check(positions, rows)
        return rows

    def _check(self, positions: np.ndarray, rows: np.ndarray) -> None:
        new = ~self._checked[positions]
        if not new.all():  # else spare a copy
            positions, rows = positions[new], rows[new]
        wrong = positions[sums_of(rows) != self._sums[positions]]
        if len(wrong):
            place = self._strike(np.unique(self._where[wrong]))
            raise HeadstartError(
                f"{len(np.unique(wrong))} stored activations in {place} are damaged. "
                "Run the command again: it computes them anew."
            )
        self._checked[positions] = True
