"""Rows of tables whose cells are items of other backbones: their features stand side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, final

import torch
from torch import Tensor, nn

NUMBERS: Final = "numbers"  # among the inputs: those of a row's plain columns (N, D)
ROWS: Final = "#rows"  # of a column: which rows its inputs are of, as some may lack a cell

Cells = Sequence[tuple[Tensor, Tensor]]  # by column: rows (n,), and features (n, D) of their cells


@final
class Joined(nn.Module):
    """A row's numbers, and behind them for each column the features of its cell by one part.

    Features are taken from their mean and scaled to a total variance of 1, as sums over rows said
    that were learned from: so that one column weighs as much as another, and a missing cell, which
    is all zeros, counts as what is usual.
    """

    def __init__(
        self, parts: Mapping[str, nn.Module], columns: Sequence[tuple[str, int]] = ()
    ) -> None:
        super().__init__()
        self.parts = nn.ModuleDict(parts)
        self.columns = tuple(columns)  # which part reads each, and how many features it gives
        for place, (_, width) in enumerate(self.columns):
            self.register_buffer(f"mean{place}", torch.zeros(width))
            self.register_buffer(f"scale{place}", torch.ones(1))

    def settle(self, place: int, features: Tensor) -> None:
        """Take a column's usual features (n, D) from cells of it; of none nothing changes."""
        if len(features):
            variance = features.var(dim=0, correction=0).sum()
            self.get_buffer(f"mean{place}").copy_(features.mean(dim=0))
            self.get_buffer(f"scale{place}").fill_(float(variance.clamp(min=1e-12) ** -0.5))

    def beside(self, numbers: Tensor, cells: Cells) -> Tensor:
        """Numbers (N, D0) and the features of all columns' cells as rows (N, D)."""
        blocks = [numbers]
        for place, (rows, features) in enumerate(cells):
            mean, scale = (
                self.get_buffer(f"{name}{place}").to(numbers.device) for name in ("mean", "scale")
            )
            block = numbers.new_zeros(len(numbers), len(mean))
            block[rows] = (features - mean) * scale
            blocks.append(block)
        return torch.cat(blocks, dim=1)

    def forward(self, inputs: Any) -> Tensor:
        """Rows (N, D) of numbers (N, D), or of a mapping that holds cells' inputs by column."""
        if isinstance(inputs, Tensor):
            return inputs
        numbers: Tensor = inputs[NUMBERS]
        cells = []
        for place, (part, width) in enumerate(self.columns):
            own = {
                name.removeprefix(f"{place}."): each
                for name, each in inputs.items()
                if name.startswith(f"{place}.")
            }
            rows = own.pop(ROWS)
            features = numbers.new_zeros(0, width)
            if len(rows):
                features = self.parts[part](own[""] if "" in own else own)
            cells.append((rows, features.to(numbers.dtype)))
        return self.beside(numbers, cells)
