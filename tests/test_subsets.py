"""Nested subsets: every beginning holds each label in its share."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.data import nested

classes = st.lists(st.integers(0, 4), min_size=1, max_size=60).map(np.array)


@given(targets=classes, seed=st.integers(0, 3))
def test_each_position_stands_there_once(targets: np.ndarray, seed: int) -> None:
    order = nested(targets, seed)
    assert sorted(order.tolist()) == list(range(len(targets)))
    assert order.tolist() == nested(targets, seed).tolist()


@given(targets=classes, count=st.integers(1, 60))
def test_a_beginning_keeps_every_share_to_within_an_item(targets: np.ndarray, count: int) -> None:
    count = min(count, len(targets))
    taken = targets[nested(targets)[:count]]
    kinds = len(np.unique(targets))
    for label in range(5):
        wanted = count * (targets == label).mean()
        assert abs((taken == label).sum() - wanted) <= kinds


def test_other_seeds_take_other_items() -> None:
    targets = np.arange(200) % 4
    first, other = (set(nested(targets, seed)[:40].tolist()) for seed in (0, 1))
    assert first != other


@pytest.mark.parametrize("size", [10, 20, 50])
def test_numbers_are_spread_over_their_range(size: int) -> None:
    numbers = np.random.default_rng(0).normal(size=(200, 2))
    tenths = np.quantile(numbers[:, 0], np.arange(1, 10) / 10)
    taken = numbers[nested(numbers)[:size], 0]
    counts = np.bincount(np.searchsorted(tenths, taken), minlength=10)
    assert counts.min() >= size // 10 - 1 and counts.max() <= size // 10 + 1


def test_label_sets_count_as_labels() -> None:
    sets = np.array([[1, 0], [0, 1], [1, 1], [0, 0]] * 10, dtype=np.float32)
    taken = sets[nested(sets)[:8]]
    assert len(np.unique(taken, axis=0)) == 4
