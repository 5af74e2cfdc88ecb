"""Intervals over folds: they widen for overlap, keep their word, and choosing is nested in them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.evidence import average, paired, verdict
from headstart.evidence.folds import Folds
from headstart.evidence.intervals import widened


def shared_out(count: int, folds: int, repeats: int, seed: int = 0) -> Folds:
    """So many items in equal folds, at random."""
    rng = np.random.default_rng(seed)
    return Folds(np.stack([rng.permutation(np.arange(count) % folds) for _ in range(repeats)]))


def test_folds_widen_by_what_nadeau_and_bengio_say() -> None:
    assert shared_out(20, 5, 1).spread(1) == pytest.approx(1 + 5 / 4)
    assert shared_out(20, 5, 4).spread(4) == pytest.approx(1 / 4 + 5 / 4)
    assert shared_out(20, 10, 1).spread(1) == pytest.approx(1 + 10 / 9)


@settings(max_examples=40, deadline=None)
@given(hits=st.integers(0, 30), misses=st.integers(0, 30), repeats=st.integers(1, 4))
def test_an_average_over_folds_is_wilsons_at_fewer_items(
    hits: int, misses: int, repeats: int
) -> None:
    if hits + misses < 5:
        return
    scores = np.tile(np.repeat([1.0, 0.0], [hits, misses]), (repeats, 1))
    folds = shared_out(hits + misses, 5, repeats)
    interval, plain = folds.average(scores), average(scores[0])
    assert interval.value == plain.value == pytest.approx(hits / (hits + misses))
    assert 0 <= interval.low <= plain.low <= plain.high <= interval.high <= 1


def test_an_interval_of_copies_counts_each_family_once() -> None:
    once = np.array([1.0, 1.0, 0.0, 1.0, 0.0, 1.0, 1.0, 1.0])
    copies, families = np.repeat(once, 5), np.repeat(np.arange(8), 5)
    interval, naive = average(copies, clusters=families), average(copies)
    families_alone = average(once)
    assert interval.high - interval.low > 1.5 * (naive.high - naive.low)
    width = families_alone.high - families_alone.low  # at one less, which their mean takes
    assert width < interval.high - interval.low < 1.25 * width  # as t of nine says
    alone = paired(copies, np.zeros(40), clusters=np.arange(40))
    assert alone == paired(copies, np.zeros(40))
    together = paired(copies, np.zeros(40), clusters=families)
    assert together.high - together.low > alone.high - alone.low


def test_all_right_is_bounded_by_the_number_of_families() -> None:
    assert average(np.ones(40), clusters=np.repeat(np.arange(4), 10)).low < 0.52
    assert average(np.ones(40)).low > 0.9


def test_another_independent_error_widens_as_the_root_of_squares() -> None:
    interval = paired(np.r_[np.ones(30), np.zeros(10)], np.r_[np.ones(20), np.zeros(20)])
    wider = widened(interval, more=0.3)
    assert wider.value == interval.value
    assert wider.high - wider.value == pytest.approx(np.hypot(interval.high - interval.value, 0.3))


@pytest.mark.parametrize("spread", [0.0, 0.15])
def test_a_gain_over_folds_that_is_none_is_seldom_called_one(spread: float) -> None:
    """Trainings differ by luck, too, which the folds' differences show."""
    rng, wrong = np.random.default_rng(3), 0
    for repeat in range(200):
        folds = shared_out(60, 5, 1, repeat)
        luck = spread * rng.normal(size=(2, 5))
        ease = rng.random((1, 60))
        scores = [(ease < 0.7 + own[folds.of]).astype(float) for own in luck]
        wrong += verdict(folds.gain(*scores)) != "no evidence"
    assert wrong <= 0.06 * 200


def test_a_clear_gain_over_folds_is_seen() -> None:
    folds = shared_out(60, 5, 1)
    better, other = np.ones((1, 60)), (np.arange(60) % 2 == 0).astype(float)[None]
    result = folds.gain(better, other)
    assert verdict(result) == "helps"
    assert result.value == pytest.approx(0.5)
