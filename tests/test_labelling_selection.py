"""Which items are worth a label: dense regions first, no copies, doubt where labels are many."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.labelling import selection
from headstart.labelling.selection import Pick, doubt, select


def crowds(sizes: tuple[int, ...], spread: float = 0.1, width: int = 16) -> np.ndarray:
    """Crowds of so many items each around axes of their own."""
    rng = np.random.default_rng(0)
    centres = np.eye(width)[: len(sizes)].repeat(sizes, axis=0)
    result = centres + spread * rng.normal(size=(sum(sizes), width)) / width**0.5
    return np.asarray(result, np.float32)


def crowd_of(picks: list[Pick], sizes: tuple[int, ...]) -> list[int]:
    """Which crowd each pick is of."""
    edges = np.cumsum(sizes)
    return [int(np.searchsorted(edges, pick.position, side="right")) for pick in picks]


def test_without_labels_each_crowd_is_asked_once_the_largest_first() -> None:
    sizes = (60, 30, 90, 20)
    picks = select(crowds(sizes), np.ones(200), [], 4)
    assert crowd_of(picks, sizes) == [2, 0, 1, 3]
    assert [pick.covers for pick in picks] == [90, 60, 30, 20]


def test_crowds_with_labels_wait() -> None:
    sizes = (50, 50, 50)
    features = crowds(sizes)
    picks = select(features, np.ones(150), [features[:2], features[60:61]], 1)
    assert crowd_of(picks, sizes) == [2]


def test_where_all_are_covered_alike_the_doubted_come_first() -> None:
    sizes = (50, 50)
    features = crowds(sizes)
    unsure = np.r_[np.full(50, 0.05), np.full(50, 0.9)]
    picks = select(features, unsure, [features[[0, 50]]], 5)
    assert crowd_of(picks, sizes) == [1] * 5


def test_copies_are_asked_once_and_never_where_a_label_is() -> None:
    rng = np.random.default_rng(1)
    own = rng.normal(size=(10, 32)).astype(np.float32)
    features = np.concatenate([own, own * 1.0001, own[:5]])
    labelled = own[7:]
    picks = select(features, np.ones(25), [labelled], 25)
    result = {pick.position % 20 % 10 for pick in picks}
    assert len(picks) == len(result) == 7 and result == set(range(7))


def test_an_estimate_on_some_items_finds_the_same_crowds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "REFERENCES", 100)
    monkeypatch.setattr(selection, "BLOCK", 64)
    sizes = (400, 200, 600)
    picks = select(crowds(sizes), np.ones(1200), [], 3)
    assert crowd_of(picks, sizes) == [2, 0, 1]
    assert sum(pick.covers for pick in picks) == pytest.approx(1200, rel=0.02)


@settings(max_examples=30, deadline=None)
@given(total=st.integers(0, 40), count=st.integers(0, 50), labels=st.integers(0, 5))
def test_picks_are_distinct_and_as_many_as_there_are(total: int, count: int, labels: int) -> None:
    rng = np.random.default_rng(total * 100 + count)
    features = rng.normal(size=(total, 8)).astype(np.float32)
    values = rng.normal(size=(labels, 8)).astype(np.float32)
    weights = rng.random(total)
    picks = select(features, weights, [values], count)
    positions = [pick.position for pick in picks]
    assert len(set(positions)) == len(positions) == min(total, count)
    assert picks == select(features, weights, [values], count)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000))
def test_lazy_picks_are_the_greedy_ones(seed: int) -> None:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(30, 6)).astype(np.float32)
    weights = rng.random(30).astype(np.float32)
    points = features - features.mean(axis=0)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    kernel = np.exp(2 * (points @ points.T - 1))
    covered = np.zeros(30)
    expected: list[int] = []
    for _ in range(5):
        gains = np.maximum(kernel - covered, 0) @ weights
        gains[expected] = -1
        expected.append(int(gains.argmax()))
        covered = np.maximum(covered, kernel[expected[-1]])
    assert [pick.position for pick in select(features, weights, [], 5)] == expected


def test_items_all_alike_give_one() -> None:
    assert len(select(np.ones((20, 4), np.float32), np.ones(20), [], 5)) >= 1


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ({"label": "a", "probabilities": {"a": 0.5, "b": 0.5}}, 1.0),
        ({"label": "a", "probabilities": {"a": 0.7, "b": 0.2, "c": 0.1}}, 0.5),
        ({"label": "a", "probabilities": {"a": 1.0, "b": 0.0}}, 0.0),
        ({"labels": ["a"], "probabilities": {"a": 0.9, "b": 0.5}}, 1.0),
        ({"labels": [], "probabilities": {"a": 0.1, "b": 0.2}}, 0.4),
        ({"value": 3.0}, 1.0),
    ],
)
def test_doubt_is_nearness_to_another_answer(answer: dict[str, object], value: float) -> None:
    assert doubt(answer) == pytest.approx(value)
