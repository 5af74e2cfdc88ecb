"""Read and decode items in threads, a few batches ahead, in bounded memory."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from itertools import chain
from typing import Any, TypeVar

import numpy as np

from headstart.contracts import Modality, Preprocess
from headstart.data import Item
from headstart.errors import DataError

AHEAD = 3  # batches decoded in advance
_WINDOW = 16  # training batches within which items of like length meet
_CHUNK = 256  # short items decoded by one thread at a time
Each = TypeVar("Each")
Answer = TypeVar("Answer")


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
    """Turns items into model inputs, the way one backbone wants them.

    They are `look`ed at as they are, or in another way that the modality knows; `others` are the
    looks over which features are averaged besides, wherever a model answers for good. Items of a
    ragged modality that are compact are decoded once and kept, of others their sizes. Where torch
    isn't wanted inputs are `plain` arrays.
    """

    modality: Modality
    preprocess: Preprocess
    others: tuple[str, ...] = ()
    look: str = ""
    plain: bool = False  # arrays in the place of tensors
    _kept: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    _said: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    _sizes: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        """What is sent to workers: nothing that is decoded."""
        return vars(self.afresh())

    def in_arrays(self) -> Reader:
        """The same whose batches are plain arrays, where its modality makes such."""
        return replace(self, plain=True) if self.modality.in_arrays else self

    def afresh(self) -> Reader:
        """The same with nothing kept."""
        return replace(self, _kept={}, _said={}, _sizes={})

    @property
    def looks(self) -> tuple[str, ...]:
        """All looks that are averaged, the plain one first."""
        return ("", *self.others)

    def decode(self, item: Item, view: View | None = None) -> Any:
        """One item, ready to collate; with a view, that random variant of it."""
        rng = None if view is None else view.generator(item.digest)
        raw = item.read()
        with _naming(item):
            return self.modality.decode(raw, self.preprocess, rng)

    def apart(self, item: Item) -> tuple[np.ndarray, Mapping[str, bytes]]:
        """A row's plain columns as numbers (D,), and by column its cells that are items."""
        raw = item.read()
        with _naming(item):
            return self.modality.apart(raw, self.preprocess)

    def decoded(self, items: Sequence[Item]) -> list[Any]:
        """Compact items of a ragged modality, each content decoded once in this reader's life."""
        return _once(items, self._kept, self.decode, _CHUNK)

    def described(self, items: Sequence[Item]) -> list[Any]:
        """What is known of items without a network: the text of each, or numbers by name, or None.

        Of each content once in the life of this reader.
        """
        return _once(items, self._said, self._described, 1)

    def _described(self, item: Item) -> Any:
        raw = item.read()
        text = self.modality.text(raw)
        return self.modality.statistics(raw) if text is None else text

    def sizes(self, items: Sequence[Item]) -> np.ndarray | None:
        """How long each item is; None where all are alike. Shape (N,)."""
        if not self.modality.ragged:
            return None
        if self.modality.compact:
            sizes = [self.modality.size(item) for item in self.decoded(items)]
        else:
            sizes = _once(items, self._sizes, lambda item: self.modality.size(self.decode(item)), 1)
        return np.array(sizes, dtype=np.int64)

    def batches(
        self, items: Sequence[Item], groups: Sequence[np.ndarray], view: View | None = None
    ) -> Iterator[Any]:
        """Model inputs for each group of positions in `items`, in order."""
        return self.inputs(chosen(items, groups), view)

    def inputs(self, batches: Iterable[Sequence[Item]], view: View | None = None) -> Iterator[Any]:
        """Model inputs for each batch of items, in order."""
        if self.modality.keeps_decoded:
            return (self._model_inputs(self.decoded(batch)) for batch in batches)
        return self._ahead(batches, view)

    def _ahead(self, batches: Iterable[Sequence[Item]], view: View | None) -> Iterator[Any]:
        for decoded in in_threads(lambda item: self.decode(item, view), batches, AHEAD):
            yield self._model_inputs(decoded)

    def collated(self, items: Sequence[Any]) -> Any:
        """A batch of decoded items, as tensors or as plain arrays."""
        collate = self.modality.arrays if self.plain else self.modality.collate
        return collate(items, self.preprocess)

    def _model_inputs(self, items: Sequence[Any]) -> Any:
        inputs = self.collated(items)
        return self.modality.look(inputs, self.look) if self.look else inputs


def in_threads(
    function: Callable[[Each], Answer], batches: Iterable[Sequence[Each]], ahead: int
) -> Iterator[list[Answer]]:
    """What a function answers about each of every batch, in order; so many are begun in advance.

    Each thread takes a share of a batch at once: to hand over one small item costs as much as it.
    """
    workers = min(8, os.cpu_count() or 1)

    def answers(share: Sequence[Each]) -> list[Answer]:
        return [function(each) for each in share]

    with ThreadPoolExecutor(max_workers=workers) as pool:
        waiting: deque[list[Future[list[Answer]]]] = deque()
        try:
            for batch in batches:
                size = max(1, -(-len(batch) // workers))
                shares = (batch[start : start + size] for start in range(0, len(batch), size))
                waiting.append([pool.submit(answers, share) for share in shares])
                if len(waiting) > ahead:
                    yield _joined(waiting.popleft())
            while waiting:
                yield _joined(waiting.popleft())
        finally:
            for futures in waiting:
                for future in futures:
                    future.cancel()


def _joined(shares: Iterable[Future[list[Answer]]]) -> list[Answer]:
    return [answer for share in shares for answer in share.result()]


@contextmanager
def _naming(item: Item) -> Iterator[None]:
    """Name the item in the errors of a modality, which knows its content alone."""
    try:
        yield
    except DataError as error:
        more = "" if ". " in str(error) else ". Leave it out"
        raise DataError(f"{item.id} can't be used: {error}".rstrip(".") + f"{more}.") from error


def _once(
    items: Sequence[Item], cache: dict[str, Any], make: Callable[[Item], Any], chunk: int
) -> list[Any]:
    """What is made of items, from the `cache` where it is there; threads take chunks of them."""
    names = [item.digest or item.id for item in items]
    new = {n: item for n, item in zip(names, items, strict=True) if n not in cache}
    if new:
        waiting = list(new.values())
        chunks = [waiting[n : n + chunk] for n in range(0, len(waiting), chunk)]
        with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
            values = chain.from_iterable(pool.map(lambda part: [make(i) for i in part], chunks))
            cache.update(zip(new, values, strict=True))
    return [cache[name] for name in names]


def chosen(items: Sequence[Item], groups: Iterable[np.ndarray]) -> Iterator[list[Item]]:
    """The items of each group of positions."""
    return ([items[position] for position in group.tolist()] for group in groups)


def groups_of(order: np.ndarray, size: int) -> list[np.ndarray]:
    """Cut an order of positions into groups of at most `size`."""
    return [order[start : start + size] for start in range(0, len(order), size)]


def alike(order: np.ndarray, size: int, sizes: np.ndarray | None) -> list[np.ndarray]:
    """The same positions in groups of at most `size`, of like length where lengths differ.

    The longest come first, so that what doesn't fit into memory fails at once.
    """
    if sizes is None:
        return groups_of(order, size)
    return groups_of(order[np.argsort(-sizes[order], kind="stable")], size)


def mixed(order: np.ndarray, size: int, sizes: np.ndarray | None) -> list[np.ndarray]:
    """Groups of at most `size` for training: of like length, but in an order as random as given.

    Items meet within a window of some groups; the groups of all windows are then shuffled.
    """
    if sizes is None:
        return groups_of(order, size)
    groups = [
        group for part in groups_of(order, size * _WINDOW) for group in alike(part, size, sizes)
    ]
    order_of_groups = np.random.default_rng(order[: size * _WINDOW]).permutation(len(groups))
    return [groups[place] for place in order_of_groups]


def in_order(groups: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> np.ndarray:
    """Outputs of groups that hold each position up to N once, as (N, …) by position."""
    rows = np.concatenate(outputs)
    result = np.empty_like(rows)
    result[np.concatenate(groups)] = rows
    return result
