"""Reading ahead: in order, in bounded memory, with views that depend on seed and epoch."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
import pytest
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from headstart import catalog
from headstart.contracts import Check, Modality, Preprocess
from headstart.data import Item, Source, load
from headstart.errors import DataError
from headstart.features.loaders import RawLoader
from headstart.features.reading import AHEAD, Reader, View, groups_of


def digest(number: int) -> str:
    return blake2b(str(number).encode(), digest_size=16).hexdigest()


@final
class Number(Source):
    """An item in memory whose content is a number."""

    def __init__(self, number: int) -> None:
        self.number = number

    def read(self) -> bytes:
        return str(self.number).encode()


@final
class Numbers(Modality):
    """Reads numbers, the later ones faster, and notes which; -1 can't be read."""

    suffixes: ClassVar[frozenset[str]] = frozenset({".number"})
    columns: ClassVar[tuple[str, ...]] = ("number",)

    def __init__(self) -> None:
        self.read: list[int] = []
        self._lock = threading.Lock()

    def check(self, raw: bytes) -> Check:
        return Check()

    def decode(self, raw: bytes, preprocess: Preprocess, rng: Any = None) -> float:
        number = int(raw)
        if number < 0:
            raise DataError("it is negative. Give another.")
        with self._lock:
            self.read.append(number)
        time.sleep(0.002 * (number % 3))
        return number + (0.0 if rng is None else float(rng.random()))

    def collate(self, items: Sequence[float], preprocess: Preprocess) -> Tensor:
        return torch.tensor(items, dtype=torch.float64)


def numbers(count: int) -> list[Item]:
    return [Item(str(n), "a", "train", Number(n), digest(n)) for n in range(count)]


@settings(max_examples=25, deadline=None)
@given(order=st.permutations(range(12)), size=st.integers(1, 13))
def test_batches_keep_the_order_that_was_asked_for(order: list[int], size: int) -> None:
    groups = groups_of(np.array(order), size)
    assert [len(group) <= size for group in groups] == [True] * -(-12 // size)
    batches = list(Reader(Numbers(), {}).batches(numbers(12), groups))
    assert [batch.tolist() for batch in batches] == [group.tolist() for group in groups]


def test_only_a_few_batches_are_read_ahead() -> None:
    modality, size = Numbers(), 2
    reading = Reader(modality, {}).batches(numbers(100), groups_of(np.arange(100), size))
    for count in range(1, 4):
        next(reading)
        time.sleep(0.1)
        assert count * size <= len(modality.read) <= (count + AHEAD) * size
    reading.close()  # type: ignore[attr-defined] # it is a generator
    time.sleep(0.05)
    assert len(modality.read) <= (3 + AHEAD) * size


def test_an_item_that_cannot_be_read_is_told_and_ends_the_reading() -> None:
    items = numbers(40)
    items[4] = replace(items[4], source=Number(-1), digest="")
    reading = Reader(modality := Numbers(), {}).batches(items, groups_of(np.arange(40), 2))
    assert [next(reading).tolist() for _ in range(2)] == [[0, 1], [2, 3]]
    with pytest.raises(DataError, match="negative"):
        next(reading)
    assert len(modality.read) < 20


def views(
    view: View | None, order: Sequence[int], size: int, augmented: bool = True
) -> list[float]:
    """What a feed gives for each item, in the items' order."""
    feed = RawLoader(numbers(6), np.zeros(6, np.int64), Reader(Numbers(), {}), augmented)
    batches = feed.batches(np.array(order), size, view)
    values = torch.cat([batch.inputs for batch in batches]).tolist()
    return [value for _, value in sorted(zip(order, values, strict=True))]


def test_views_depend_on_seed_and_epoch_alone() -> None:
    first = views(View(3, 1), range(6), 4)
    assert first == views(View(3, 1), [5, 2, 0, 1, 4, 3], 1)
    assert not set(first) & set(views(View(3, 2), range(6), 4))
    assert not set(first) & set(views(View(4, 1), range(6), 4))
    assert len({value % 1 for value in first}) == 6
    assert views(View(-3, 1), range(6), 4) == views(View(-3, 1), range(6), 4)


def test_without_a_view_or_augmentation_items_are_plain() -> None:
    plain = [float(number) for number in range(6)]
    assert views(None, range(6), 4) == plain
    assert views(View(0, 0), range(6), 4, augmented=False) == plain


def test_pictures_are_augmented_anew_each_epoch(pictures: Path) -> None:
    modality, backbone = catalog.modality("image"), tiny.backbone()
    dataset = load(pictures, modality)
    reader = Reader(modality, backbone.preprocess)
    feed = RawLoader(dataset.split("train"), dataset.targets("train"), reader, augmented=True)

    def inputs(view: View | None) -> Tensor:
        batches = list(feed.batches(np.arange(len(feed)), 8, view))
        assert torch.equal(
            torch.cat([batch.targets for batch in batches]), torch.from_numpy(feed.targets)
        )
        return torch.cat([batch.inputs for batch in batches])

    assert torch.equal(inputs(View(0, 0)), inputs(View(0, 0)))
    assert not torch.equal(inputs(View(0, 0)), inputs(View(0, 1)))
    assert not torch.equal(inputs(View(0, 0)), inputs(View(1, 0)))
    assert not torch.equal(inputs(View(0, 0)), inputs(None))
