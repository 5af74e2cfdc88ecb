"""The probe: what it makes of dead features, which strength it picks, and what it is fitted to."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_info, threadpool_limits
from torch import nn

from headstart.contracts import Task
from headstart.contracts.frozen import as_module
from headstart.contracts.standardisation import Standardisation
from headstart.evidence.fitting import full_probe, joined
from headstart.runtime.machine import threads_for
from headstart.tasks.classification import Classification, logistic, probe
from headstart.tasks.classification.multi_label import MultiLabel
from headstart.tasks.regression import Regression

LABELS = ("a", "b", "c")
TASKS: tuple[Callable[[], Task], ...] = (Classification, MultiLabel, Regression)
Examples = tuple[np.ndarray, np.ndarray]


def examples(task: Task, count: int, seed: int, width: int = 8, noise: float = 1.0) -> Examples:
    """Features (N, D) of three classes in turn that stand apart in the first three of them."""
    rng = np.random.default_rng(seed)
    own = np.arange(count) % 3
    features = rng.normal(0, noise, (count, width)).astype(np.float32)
    features[np.arange(count), own] += 1.5
    return features, own if task.kind == "classes" else np.eye(3, dtype=np.float32)[own]


def answer(head: nn.Module, features: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        outputs: np.ndarray = head(torch.from_numpy(features)).numpy()
    return outputs


@pytest.mark.parametrize("make", TASKS)
@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 99),
    dead=st.integers(1, 40),
    size=st.sampled_from([0.0, 1e-12, 1e-8, 1e-5]),
)
def test_features_that_hardly_change_do_not_change_the_answers(
    make: Callable[[], Task], seed: int, dead: int, size: float
) -> None:
    task = make()
    (features, targets), (others, _) = examples(task, 30, seed), examples(task, 30, seed + 1)
    plain = answer(task.probe((features, targets), (features, targets), LABELS), others)
    rng = np.random.default_rng(seed)

    def beside(live: np.ndarray, size: float) -> np.ndarray:
        noise = rng.standard_t(2, (len(live), dead))  # most are still, a few jump
        return np.hstack([live, (0.1 + size * noise).astype(np.float32)])

    wider = beside(features, size)
    head = task.probe((wider, targets), (wider, targets), LABELS)
    np.testing.assert_allclose(answer(head, beside(others, 10 * size)), plain, atol=2e-2)


@settings(deadline=None)
@given(seed=st.integers(0, 99), dead=st.integers(0, 50), scale=st.floats(1e-4, 1e4))
def test_the_common_spread_is_that_of_the_features_that_change(
    seed: int, dead: int, scale: float
) -> None:
    features = np.random.default_rng(seed).normal(3, np.arange(1, 6), (20, 5)) * scale
    alone = Standardisation.of(features)
    beside = Standardisation.of(np.hstack([features, np.full((20, dead), scale)]))
    np.testing.assert_allclose(beside.spread[:5], alone.spread)
    own = features.std(axis=0)
    np.testing.assert_allclose(alone.spread**2, (own**2 + ((own**2).sum() / own.sum()) ** 2) / 2)
    assert np.abs(beside(np.hstack([features, np.full((20, dead), scale)]))).max() < 10


def test_features_that_never_change_leave_the_frequencies() -> None:
    task = Classification()
    given_examples = np.full((8, 4), 3.0, dtype=np.float32), np.array([0, 0, 0, 0, 1, 1, 1, 2])
    outputs = answer(task.probe(given_examples, given_examples, LABELS), given_examples[0])
    shares = np.exp(outputs) / np.exp(outputs).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(shares, np.tile([4 / 8, 3 / 8, 1 / 8], (8, 1)), atol=1e-3)


@pytest.mark.parametrize("width", [5, 60])
def test_a_solution_is_that_of_the_library(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logistic, "_FINE", (1e-12, 1000))
    features, targets = examples(Classification(), 45, 0, width)
    counts = np.where(targets == 1, 3.0, 0.5)
    fitted = logistic.Regression.of(
        features.astype(np.float64), np.eye(3)[targets], counts, logistic.softmax
    )
    checked = examples(Classification(), 30, 1, width)[0]
    for strength in (1e-3, 0.1, 10.0):
        weight, bias = fitted.solution(strength)
        theirs = LogisticRegression(C=strength, tol=1e-9, max_iter=5000)
        theirs.fit(features.astype(np.float64), targets, sample_weight=counts)
        outputs = np.exp(checked @ weight.T + bias)
        shares = outputs / outputs.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(shares, theirs.predict_proba(checked), atol=1e-3)


@pytest.mark.parametrize("loss", [logistic.softmax, logistic.sigmoid])
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 999))
def test_errors_are_the_slopes_of_a_loss(loss: logistic.Loss, seed: int) -> None:
    rng = np.random.default_rng(seed)
    outputs = rng.normal(0, 3, (4, 2, 3))
    targets = np.eye(3)[rng.integers(0, 3, 4)][:, None]
    moved, step = rng.normal(size=outputs.shape), 1e-6
    errors = outputs.copy()
    loss(errors, targets)
    ahead, behind = (loss(outputs + way * step * moved, targets) for way in (1, -1))
    slope = (ahead - behind) / (2 * step)
    np.testing.assert_allclose((errors * moved).sum(axis=2), slope, atol=1e-5)


@settings(deadline=None)
@given(sizes=st.lists(st.integers(1, 400), min_size=1, max_size=6))
def test_folds_share_out_every_class(sizes: list[int]) -> None:
    targets = np.repeat(np.arange(len(sizes)), sizes)
    folds = probe.folds(targets)
    alone = sizes.count(1)
    assert folds.sum(axis=0).max() <= 1
    assert len(folds) == probe.FOLDS or folds.sum() >= probe._JUDGED - alone
    for label, size in enumerate(sizes):
        own = folds[:, targets == label].sum(axis=1)
        assert own.max() <= -(-size // probe.FOLDS)
        assert own.max() < size or size < 2  # something of it is left to learn from
        if len(folds) == probe.FOLDS:
            assert own.sum() == (size if size > 1 else 0)


@settings(deadline=None)
@given(seed=st.integers(0, 99), count=st.integers(1, 60))
def test_folds_leave_every_label_of_a_set_somewhere(seed: int, count: int) -> None:
    targets = (np.random.default_rng(seed).random((count, 4)) < [0.5, 0.4, 0.3, 0.0]) * 1.0
    folds = probe.folds(targets)
    rare = [label for label in range(4) if targets[:, label].sum() == 1]
    alone = targets[:, rare].any(axis=1)
    np.testing.assert_array_equal(folds.sum(axis=0), ~alone)


@pytest.mark.parametrize(("noise", "width"), [(0.05, 6), (3.0, 200)])
def test_the_strength_fits_the_data(noise: float, width: int) -> None:
    task = Classification()
    train, checked = examples(task, 60, 0, width, noise), examples(task, 600, 1, width, noise)
    scale = Standardisation.of(train[0])
    fitted = logistic.Regression.of(
        scale(train[0]), np.eye(3)[train[1]], np.ones(60), logistic.softmax
    )
    lost = []
    for strength in probe.PROBE_STRENGTHS:
        weight, bias = fitted.solution(strength)
        lost.append(task.losses(scale(checked[0]) @ weight.T + bias, checked[1]).mean())
    mean = task.losses(answer(task.probe(train, train, LABELS), checked[0]), checked[1]).mean()
    assert mean < min(lost) + 0.1 * (max(lost) - min(lost))
    strong = int(np.argmin(lost)) < len(lost) // 2
    assert strong == (noise > 1)


def test_a_single_item_a_class_is_enough() -> None:
    features, targets = examples(Classification(), 3, 0, noise=0.1)
    head = Classification().probe((features, targets), (features, targets), LABELS)
    assert (answer(head, features).argmax(axis=1) == targets).all()


@pytest.mark.parametrize("make", TASKS)
def test_the_full_probe_learns_from_every_label(make: Callable[[], Task]) -> None:
    task = make()
    train, validation = examples(task, 24, 0), examples(task, 24, 1)
    features, others = examples(task, 30, 2)[0], examples(task, 24, 3)

    def joined(more: Examples) -> Examples:
        return np.vstack([train[0], more[0]]), np.concatenate([train[1], more[1]])

    result = answer(as_module(full_probe(task, train, validation, LABELS)), features)
    expected = answer(task.probe(joined(validation), others, LABELS), features)
    np.testing.assert_allclose(result, expected, atol=1e-5)
    alone = answer(task.probe(train, validation, LABELS), features)
    np.testing.assert_allclose(alone, answer(task.probe(train, others, LABELS), features))
    assert np.abs(result - alone).max() > 1e-2


def test_a_probe_that_picks_on_validation_is_not_fitted_to_it() -> None:
    class Picking(Classification):  # type: ignore[misc] # final for the package alone
        cross_validates = False

    task = Picking()
    train, validation = examples(task, 24, 0), examples(task, 24, 1)
    head = full_probe(task, train, validation, LABELS)
    expected = answer(task.probe(train, validation, LABELS), train[0])
    np.testing.assert_allclose(answer(as_module(head), train[0]), expected)


def test_small_products_take_one_thread_and_leave_the_others_as_they_were() -> None:
    def counts() -> set[int]:
        return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}

    with threadpool_limits(2):
        for _ in range(2):
            with threads_for(10):
                assert counts() == {1}
            assert counts() == {2}
        with threads_for(10**9):
            assert counts() == {2}


def test_parts_of_one_array_are_joined_without_a_copy() -> None:
    whole, targets = np.arange(12.0).reshape(6, 2).copy(), np.arange(6)
    for ends, start in ((4, 4), (4, 3), (3, 4)):
        one, other = (whole[:ends], targets[:ends]), (whole[start:], targets[start:])
        features, joint = joined(one, other)
        assert (features is whole) == (ends == start)
        assert np.array_equal(features, np.concatenate([one[0], other[0]]))
        assert np.array_equal(joint, np.concatenate([one[1], other[1]]))
    turned = joined((whole[4:], targets), (whole[:4], targets))[0]
    assert np.array_equal(turned, whole[[4, 5, 0, 1, 2, 3]])
