"""Items of any length in a store of fixed rows: one row for each token, none for padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from headstart.features.store.records import digests_of
from headstart.features.store.rows import Rows


@dataclass(frozen=True)
class Addresses:
    """Which rows hold each item: a row of its own, or from `starts[n]` on one for each token."""

    digests: np.ndarray  # of rows, 16 bytes each
    starts: np.ndarray | None = None  # (N + 1,)

    @classmethod
    def of(cls, items: Sequence[str], sizes: np.ndarray | None) -> Addresses:
        """The rows of items by their digests (32 hex digits); `sizes` (N,) counts their tokens.

        A token's digest is its item's with the token's position in it.
        """
        digests = digests_of(items)
        if sizes is None:
            return cls(digests)
        starts = np.concatenate([[0], np.cumsum(sizes)])
        words = np.repeat(digests.view("<u8").reshape(-1, 2), sizes, axis=0)
        words[:, 1] ^= (np.arange(starts[-1]) - np.repeat(starts[:-1], sizes)).astype("<u8")
        return cls(words.reshape(-1).view(digests.dtype), starts)

    def items_of(self, rows: np.ndarray) -> np.ndarray:
        """The items that rows belong to, each once, in their order."""
        if self.starts is None:
            return np.sort(rows)
        numbers: np.ndarray = np.unique(np.searchsorted(self.starts, rows, side="right") - 1)
        return numbers

    def once(self) -> np.ndarray:
        """The items that repeat no earlier one."""
        firsts = self.digests if self.starts is None else self.digests[self.starts[:-1]]
        return np.sort(np.unique(firsts, return_index=True)[1])

    def rows_of(self, group: np.ndarray) -> np.ndarray:
        """The digests of the rows of these items, item after item."""
        rows = group if self.starts is None else spans(self.starts, group)
        digests: np.ndarray = self.digests[rows]
        return digests

    def items_in(self, rows: Rows) -> Rows | RaggedRows:
        """The rows of all items, item after item, as one row for each item or as its tokens."""
        return rows if self.starts is None else RaggedRows(rows, self.starts)

    def packed(self, group: np.ndarray, values: Any) -> Any:
        """Activations (N, T, …) of these items without their padding: (tokens, …)."""
        if self.starts is None:
            return values
        sizes = self.starts[group + 1] - self.starts[group]
        tokens: np.ndarray = values[np.arange(values.shape[1]) < sizes[:, None]]
        return tokens


@final
class RaggedRows:
    """Stored tokens of items in the order they were asked for."""

    def __init__(self, rows: Rows, starts: np.ndarray) -> None:
        self._rows = rows
        self._starts = starts

    def __len__(self) -> int:
        return len(self._starts) - 1

    def inputs(self, positions: np.ndarray) -> Any:
        """What a stage takes in: `hidden` (N, T, D) float32, zero where `mask` (N, T) is 0."""
        import torch

        sizes = self._starts[positions + 1] - self._starts[positions]
        mask = torch.from_numpy(np.arange(sizes.max()) < sizes[:, None])
        tokens = self._rows.inputs(spans(self._starts, positions))
        hidden = torch.zeros(*mask.shape, *tokens.shape[1:])
        hidden[mask] = tokens
        return {"hidden": hidden, "mask": mask.long()}


def spans(starts: np.ndarray, items: np.ndarray) -> np.ndarray:
    """The positions from `starts[n]` up to `starts[n + 1]` for each n in `items`, in order."""
    sizes = starts[items + 1] - starts[items]
    ends = np.cumsum(sizes)
    inside = np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - sizes, sizes)
    positions: np.ndarray = np.repeat(starts[items], sizes) + inside
    return positions
