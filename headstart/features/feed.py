"""What the training loop reads: items decoded each epoch, or stored activations."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, final

import numpy as np
import torch

from headstart.contracts import Batch
from headstart.data import Item
from headstart.features.reading import Reader, View, groups_of
from headstart.features.store import Rows


class Feed(ABC):
    """Batches of one split, in any order."""

    start: int  # the stage its inputs enter

    def __init__(self, targets: np.ndarray) -> None:
        self.targets = targets

    def __len__(self) -> int:
        return len(self.targets)

    def batches(self, order: np.ndarray, size: int, view: View | None = None) -> Iterator[Batch]:
        """Batches of at most `size` in this order; with a view, augmented where possible."""
        groups = groups_of(order, size)
        for group, inputs in zip(groups, self._inputs(groups, view), strict=True):
            yield Batch(inputs, torch.from_numpy(self.targets[group]), self.start)

    @abstractmethod
    def _inputs(self, groups: Sequence[np.ndarray], view: View | None) -> Iterator[Any]: ...


@final
class RawFeed(Feed):
    """Reads and decodes the items anew each time; random views only where `augmented`."""

    start = 0

    def __init__(
        self, items: Sequence[Item], targets: np.ndarray, reader: Reader, augmented: bool
    ) -> None:
        super().__init__(targets)
        self._items = items
        self._reader = reader
        self._augmented = augmented

    def _inputs(self, groups: Sequence[np.ndarray], view: View | None) -> Iterator[Any]:
        return self._reader.batches(self._items, groups, view if self._augmented else None)


@final
class StoredFeed(Feed):
    """Reads stored activations; of random views, where some are stored, another one each epoch.

    `views` holds one set of rows a view, each for this split's items in their order.
    """

    def __init__(
        self,
        rows: Rows,
        positions: np.ndarray,
        targets: np.ndarray,
        start: int,
        views: Sequence[Rows] = (),
    ) -> None:
        super().__init__(targets)
        self.start = start
        self._rows = rows
        self._positions = positions
        self._views = views

    def _inputs(self, groups: Sequence[np.ndarray], view: View | None) -> Iterator[Any]:
        if view is None or not self._views:
            return (self._rows.tensor(self._positions[group]).float() for group in groups)
        rows = self._views[view.number % len(self._views)]
        return (rows.tensor(group).float() for group in groups)
