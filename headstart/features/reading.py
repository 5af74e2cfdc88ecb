"""Read and decode items in threads, a few batches ahead, in bounded memory."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np

from headstart.contracts import Modality, Preprocess
from headstart.data import Item

AHEAD = 3  # batches decoded in advance


@dataclass(frozen=True)
class View:
    """A random view of each item: a function of the seed, this number and the item's content."""

    seed: int
    number: int

    def digest(self, item: str) -> str:
        """A digest for this view of the item with the given digest, 32 hex digits."""
        text = f"{item} view {self.number} of seed {self.seed}"
        return blake2b(text.encode(), digest_size=16).hexdigest()

    def generator(self, item: str) -> np.random.Generator:
        """What the item's random choices are drawn from."""
        return np.random.default_rng(int(self.digest(item), 16))


@dataclass(frozen=True)
class Reader:
    """Turns items into model inputs, the way one backbone wants them."""

    modality: Modality
    preprocess: Preprocess

    def decode(self, item: Item, view: View | None = None) -> Any:
        """One item, ready to collate; with a view, that random variant of it."""
        rng = None if view is None else view.generator(item.digest)
        return self.modality.decode(item.read(), self.preprocess, rng)

    def batches(
        self, items: Sequence[Item], groups: Sequence[np.ndarray], view: View | None = None
    ) -> Iterator[Any]:
        """Model inputs for each group of positions in `items`, in order."""

        def load(position: int) -> Any:
            return self.decode(items[position], view)

        with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
            waiting: deque[list[Future[Any]]] = deque()
            try:
                for group in groups:
                    waiting.append([pool.submit(load, int(position)) for position in group])
                    if len(waiting) > AHEAD:
                        yield self._collect(waiting.popleft())
                while waiting:
                    yield self._collect(waiting.popleft())
            finally:
                for futures in waiting:
                    for future in futures:
                        future.cancel()

    def _collect(self, futures: list[Future[Any]]) -> Any:
        return self.modality.collate([future.result() for future in futures], self.preprocess)


def groups_of(order: np.ndarray, size: int) -> list[np.ndarray]:
    """Cut an order of positions into groups of at most `size`."""
    return [order[start : start + size] for start in range(0, len(order), size)]
