"""Predictions of held-out items: neighbours and ridge regression, against plain forms of both."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.transferability import SCORES, Sample, neighbours, ridge
from headstart.transferability.held_out import STRENGTHS, worth

few = settings(max_examples=15, deadline=None)


def refitted(sample: Sample, strength: float) -> np.ndarray:
    """Each item predicted by a ridge regression that was fitted to the others."""
    items, codes = sample.centred, sample.codes
    penalty = strength * len(sample) * np.eye(items.shape[1])
    answers = []
    for left_out in range(len(sample)):
        others = np.arange(len(sample)) != left_out
        middle, level = items[others].mean(axis=0), codes[others].mean(axis=0)
        centred = items[others] - middle
        weights = np.linalg.solve(
            centred.T @ centred + penalty, centred.T @ (codes[others] - level)
        )
        answers.append((items[left_out] - middle) @ weights + level)
    return np.array(answers)


@few
@given(
    seed=st.integers(0, 999),
    width=st.sampled_from([1, 5, 30]),
    kind=st.sampled_from(["classes", "numbers"]),
)
def test_ridge_equals_refitting_without_each_item(seed: int, width: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    targets = rng.permutation(np.arange(12) % 3)
    features = rng.normal(size=(12, width)) + targets[:, None]
    if kind == "numbers":
        targets = targets[:, None] + rng.normal(size=(12, 1))
    sample = Sample(features, targets, kind)
    fits = [refitted(sample, float(strength)) for strength in STRENGTHS]
    errors = [((fit - sample.codes) ** 2).mean() for fit in fits]
    level = min(errors) * (1 + 1e-9)  # of strengths that are level any may be taken
    best = [fit for fit, error in zip(fits, errors, strict=True) if error <= level]
    own = ridge(sample)
    assert any(own == pytest.approx(fit, abs=1e-7) for fit in best)


def test_each_number_has_the_strength_that_suits_it() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(50, 40))
    clear, noise = features @ rng.normal(size=40), rng.normal(size=50)
    both = ridge(Sample(features, np.stack([clear, noise], axis=1), "numbers"))
    alone = [ridge(Sample(features, part[:, None], "numbers")) for part in (clear, noise)]
    assert both == pytest.approx(np.concatenate(alone, axis=1))
    assert np.abs(both[:, 1]).max() < 0.5  # noise is answered by about its mean
    assert SCORES["ridge"](Sample(features, clear[:, None], "numbers")) > 0.9


def test_without_features_ridge_answers_the_mean_of_the_others() -> None:
    targets = np.array([0, 0, 0, 1])
    result = ridge(Sample(np.ones((4, 2)), targets, "classes"))
    assert result == pytest.approx(np.array([[2 / 3, 1 / 3]] * 3 + [[1, 0]]))


def test_neighbours_are_the_nearest_others_by_angle() -> None:
    turns = np.deg2rad([0, 4, 10, 120, 124, 130, 240, 244, 250])
    lengths = np.array([1, 5, 2, 1, 5, 2, 1, 5, 2])
    features = np.stack([np.cos(turns), np.sin(turns)], axis=1) * lengths[:, None]
    numbers = np.arange(9.0)[:, None]
    sample = Sample(np.concatenate([features, -features]), np.tile(numbers, (2, 1)), "numbers")
    accuracy = neighbours(sample, count=1)
    codes = sample.codes[:, 0]
    assert accuracy[:9, 0] == pytest.approx(codes[[1, 0, 1, 4, 3, 4, 7, 6, 7]])


def test_nearer_neighbours_weigh_more() -> None:
    features = np.random.default_rng(4).normal(size=(6, 2))
    sample = Sample(features, np.arange(6.0)[:, None], "numbers")
    directions = sample.centred / np.linalg.norm(sample.centred, axis=1, keepdims=True)
    near = directions @ directions.T
    np.fill_diagonal(near, -np.inf)
    expected = []
    for row in near:
        chosen = np.argsort(row)[-2:]
        weights = np.exp(row[chosen] / 0.07)
        expected.append(weights @ sample.codes[chosen, 0] / weights.sum())
    assert neighbours(sample, count=2)[:, 0] == pytest.approx(expected)


def test_an_item_is_never_its_own_neighbour_but_its_twin_is() -> None:
    rng = np.random.default_rng(1)
    single = rng.normal(size=(20, 8))
    classes = np.arange(20)
    alone = SCORES["k-nn"](Sample(single, classes, "classes"))
    twins = SCORES["k-nn"](Sample(np.tile(single, (2, 1)), np.tile(classes, 2), "classes"))
    assert (alone, twins) == (0, 1)


def test_items_as_near_as_the_last_neighbour_count_too() -> None:
    features = np.array([[1.0], [1], [1], [1], [-1], [-1], [-1], [-1]])
    targets = np.array([0, 0, 0, 1, 1, 1, 1, 0])
    accuracy = neighbours(Sample(features, targets, "classes"), count=1)
    assert accuracy[0] == pytest.approx([2 / 3, 1 / 3])
    assert accuracy[3] == pytest.approx([1, 0])


def test_an_item_at_the_mean_is_as_near_to_all_others() -> None:
    features = np.array([[0.1], [0.2], [0.3]])
    sample = Sample(features, np.array([0.0, 9, 1])[:, None], "numbers")
    assert sample.centred[1] != 0  # what rounding left
    assert neighbours(sample)[1] == pytest.approx(sample.codes[[0, 2]].mean(axis=0))


def test_many_items_are_compared_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    sample = Sample(rng.normal(size=(30, 4)), np.arange(30) % 3, "classes")
    whole = neighbours(sample)
    monkeypatch.setattr("headstart.transferability.held_out._BLOCK", 70)
    assert neighbours(sample) == pytest.approx(whole)


def test_a_tie_between_classes_counts_for_each_alike() -> None:
    sample = Sample(np.eye(4), np.array([0, 1, 2, 0]), "classes")
    votes = np.array([[0.5, 0.5, 0], [0.5, 0.5, 0], [0, 0, 1], [0, 1, 0]])
    assert worth(sample, votes) == pytest.approx((0.5 + 0.5 + 1 + 0) / 4)


def test_r2_leaves_out_what_never_varies() -> None:
    labels = np.array([[1, 1], [1, 0], [1, 1], [1, 0]])
    sample = Sample(np.eye(4), labels, "label sets")
    assert worth(sample, sample.codes) == 1
    assert worth(sample, np.zeros((4, 2))) == 0
    assert worth(sample, -sample.codes) == -3


def test_a_rare_label_that_is_never_named_is_no_success() -> None:
    rng = np.random.default_rng(3)
    labels = (np.arange(60) < 4)[:, None].astype(np.float32)
    noise = Sample(rng.normal(size=(60, 20)), labels, "label sets")
    sample = Sample(rng.normal(size=(60, 20)) + 3 * labels, labels, "label sets")
    for name in ("k-nn", "ridge"):
        worse, better = SCORES[name](noise), SCORES[name](sample)
        assert worse < 0.1
        assert better > worse + 0.3
