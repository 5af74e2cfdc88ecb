"""What the training loop reads: items decoded each epoch, or stored activations."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, final

import numpy as np

from headstart.data import Item
from headstart.features.reading import Reader, View, alike, mixed
from headstart.features.store import RaggedRows, Rows

if TYPE_CHECKING:  # so that frozen features need no torch
    from headstart.contracts import Batch

Moved = Callable[[np.ndarray, View], np.ndarray]  # positions and a view -> targets there


class Feed(ABC):
    """Batches of one split, in any order."""

    start: int  # the stage its inputs enter

    def __init__(
        self, targets: np.ndarray, sizes: np.ndarray | None = None, moved: Moved | None = None
    ) -> None:
        self.targets = targets
        self._sizes = sizes  # (N,) how long each item is, where they differ
        self._moved = moved  # targets as they are in a view, where that moves them

    def __len__(self) -> int:
        return len(self.targets)

    def batches(self, order: np.ndarray, size: int, view: View | None = None) -> Iterator[Batch]:
        """Batches of at most `size`, augmented where possible if a view is given.

        In this order where all items are alike, else in one drawn from it, so that batches hold
        items of like length.
        """
        import torch

        from headstart.contracts import Batch

        groups = mixed(order, size, self._sizes)
        motion = None if view is None else self._view(view)
        for group, inputs in zip(groups, self._inputs(groups, view), strict=True):
            moved = self._moved(group, motion) if self._moved and motion else self.targets[group]
            yield Batch(inputs, torch.from_numpy(moved), self.start)

    def _view(self, view: View) -> View | None:
        """The view that items are seen in where this one is asked for; None for none."""
        return None

    def evaluation_batches(self, size: int) -> Iterator[tuple[np.ndarray, Batch]]:
        """Every item once, in the batches that compute fastest, with its positions."""
        import torch

        from headstart.contracts import Batch

        groups = alike(np.arange(len(self)), size, self._sizes)
        for group, inputs in zip(groups, self._inputs(groups, None), strict=True):
            yield group, Batch(inputs, torch.from_numpy(self.targets[group]), self.start)

    @abstractmethod
    def _inputs(self, groups: Sequence[np.ndarray], view: View | None) -> Iterator[Any]: ...


def longer(sizes: np.ndarray | None, lengths: np.ndarray | None) -> np.ndarray | None:
    """The longer of what is read and of what is written for each item, both by their means."""
    if sizes is None or lengths is None or not lengths.any():
        return sizes
    sides = [own / own.mean() for own in (sizes, lengths)]
    return np.asarray(np.maximum(*sides) + 1e-3 * sum(sides))


@final
class RawLoader(Feed):
    """Reads and decodes the items anew each time; random views only where `augmented`."""

    start = 0

    def __init__(
        self,
        items: Sequence[Item],
        targets: np.ndarray,
        reader: Reader,
        augmented: bool,
        moved: Moved | None = None,
        sizes: np.ndarray | None = None,
    ) -> None:
        super().__init__(targets, reader.sizes(items) if sizes is None else sizes, moved)
        self._items = items
        self._reader = reader
        self._augmented = augmented

    def _view(self, view: View) -> View | None:
        return view if self._augmented else None

    def _inputs(self, groups: Sequence[np.ndarray], view: View | None) -> Iterator[Any]:
        return self._reader.batches(self._items, groups, view if self._augmented else None)


@final
class CachedLoader(Feed):
    """Reads stored activations; of random views, where some are stored, another one each epoch.

    `positions` are this split's items in the rows; `sizes` (N,) says how long each of them is,
    where they differ; `views` holds one set of rows a view, for this split's items in their order.
    """

    def __init__(
        self,
        rows: Rows | RaggedRows,
        positions: np.ndarray,
        targets: np.ndarray,
        start: int,
        views: Sequence[Rows | RaggedRows] = (),
        sizes: np.ndarray | None = None,
        moved: Moved | None = None,
    ) -> None:
        super().__init__(targets, sizes, moved)
        self.start = start
        self._rows = rows
        self._positions = positions
        self._views = views

    def _view(self, view: View) -> View | None:
        return View(view.seed, view.number % len(self._views)) if self._views else None

    def _inputs(self, groups: Sequence[np.ndarray], view: View | None) -> Iterator[Any]:
        if view is None or not self._views:
            return (self._rows.inputs(self._positions[group]) for group in groups)
        rows = self._views[view.number % len(self._views)]
        return (rows.inputs(group) for group in groups)
