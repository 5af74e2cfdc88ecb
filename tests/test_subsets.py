"""Nested subsets and folds: each label keeps its share, and nothing is held back twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.data import load, nested, refolded
from headstart.modalities.image import Image

classes = st.lists(st.integers(0, 4), min_size=1, max_size=60).map(np.array)


@given(targets=classes, seed=st.integers(0, 3))
def test_each_position_stands_there_once(targets: np.ndarray, seed: int) -> None:
    order = nested(targets, seed)
    assert sorted(order.tolist()) == list(range(len(targets)))
    assert order.tolist() == nested(targets, seed).tolist()


@given(targets=classes, count=st.integers(1, 60))
def test_a_beginning_keeps_every_share_to_within_an_item(targets: np.ndarray, count: int) -> None:
    count = min(count, len(targets))
    selection = targets[nested(targets)[:count]]
    kinds = len(np.unique(targets))
    for label in range(5):
        expected = count * (targets == label).mean()
        assert abs((selection == label).sum() - expected) <= kinds


def test_other_seeds_take_other_items() -> None:
    targets = np.arange(200) % 4
    first, other = (set(nested(targets, seed)[:40].tolist()) for seed in (0, 1))
    assert first != other


@pytest.mark.parametrize("size", [10, 20, 50])
def test_numbers_are_spread_over_their_range(size: int) -> None:
    numbers = np.random.default_rng(0).normal(size=(200, 2))
    tenths = np.quantile(numbers[:, 0], np.arange(1, 10) / 10)
    selection = numbers[nested(numbers)[:size], 0]
    counts = np.bincount(np.searchsorted(tenths, selection), minlength=10)
    assert counts.min() >= size // 10 - 1 and counts.max() <= size // 10 + 1


def test_label_sets_count_as_labels() -> None:
    sets = np.array([[1, 0], [0, 1], [1, 1], [0, 0]] * 10, dtype=np.float32)
    selection = sets[nested(sets)[:8]]
    assert len(np.unique(selection, axis=0)) == 4


def test_folds_hold_every_item_back_once(pictures: Path) -> None:
    whole = load(pictures, Image())
    learned = [item.id for item in whole.items if item.split != "test"]
    folds = [refolded(whole, number, 3) for number in range(3)]
    entries = [item.id for fold in folds for item in fold.split("validation")]
    assert sorted(entries) == sorted(learned)
    for fold in folds:
        assert [item.id for item in fold.items] == learned
        assert fold.split("test") == ()
        sizes = np.bincount(fold.targets("validation"))
        assert sizes.max() - sizes.min() <= 3
        assert len(fold.targets("train")) == len(fold.split("train")) > len(learned) // 2


def test_identical_items_stay_together(pictures: Path) -> None:
    (pictures / "ants" / "twin.png").write_bytes((pictures / "ants" / "000.png").read_bytes())
    whole = load(pictures, Image())
    twins = [i.identity for i in whole.items if i.id in ("ants/000.png", "ants/twin.png")]
    if len(twins) != 2 or twins[0] != twins[1]:
        pytest.fail("the twins are not known to be identical")
    for number in range(3):
        fold = refolded(whole, number, 3)
        splits = {item.split for item in fold.items if item.identity == twins[0]}
        assert len(splits) <= 1
