"""Multi-label: F1 of sets, and a probe that is one logistic regression a label."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from torch import nn

from headstart.contracts.standardisation import Standardisation
from headstart.tasks.classification import logistic, probe
from headstart.tasks.classification.multi_label import MultiLabel

LABELS = ("red", "round", "small", "loud")
TASK = MultiLabel()
sets = st.integers(1, 9).flatmap(
    lambda count: st.tuples(
        arrays.arrays(np.float32, (count, 4), elements=st.floats(-50, 50, width=32)),
        arrays.arrays(np.float32, (count, 4), elements=st.sampled_from([0.0, 1.0])),
    )
)


def examples(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Features (N, 6); two labels that depend on them, one that all have, one that none has."""
    rng = np.random.default_rng(seed)
    features = rng.normal(0, 1, (count, 6)).astype(np.float32)
    odds = features[:, :2] + rng.normal(0, 0.5, (count, 2))
    constant = np.tile(single([1, 0]), (count, 1))
    return features, np.concatenate([(odds > 0.3).astype(np.float32), constant], axis=1)


def single(rows: Any) -> np.ndarray:
    return np.array(rows, dtype=np.float32)


def answer(head: nn.Module, features: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        outputs: np.ndarray = head(torch.from_numpy(features)).numpy()
    return outputs


@given(sets)
def test_a_score_is_the_f1_of_two_sets(found: tuple[np.ndarray, np.ndarray]) -> None:
    outputs, targets = found
    expected = f1_score(targets, outputs > 0, average="samples", zero_division=1.0)
    assert TASK.scores(outputs, targets).mean() == pytest.approx(expected)


def test_empty_sets_agree() -> None:
    outputs = single([[-1, -1], [-1, 1], [1, 1]])
    scores = TASK.scores(outputs, single([[0, 0], [0, 0], [0, 1]]))
    np.testing.assert_allclose(scores, [1, 0, 2 / 3])


@given(sets)
def test_answers_hold_the_labels_that_are_likelier_than_not(
    found: tuple[np.ndarray, np.ndarray],
) -> None:
    outputs, _ = found
    for row, own in zip(TASK.decode(outputs, LABELS), outputs, strict=True):
        assert tuple(row["probabilities"]) == LABELS
        assert row["labels"] == [name for name, odds in zip(LABELS, own, strict=True) if odds > 0]
        assert all(row["probabilities"][name] >= 0.5 for name in row["labels"])


@pytest.mark.parametrize("size", [200, 20])
def test_the_probe_is_one_logistic_regression_a_label(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "PROBE_STRENGTHS", (0.01, 0.1, 1.0))
    monkeypatch.setattr(logistic, "_FINE", (1e-12, 1000))
    train, checked = examples(size, 0), examples(100, 1)[0]
    head = TASK.probe(train, train, LABELS)
    scale = Standardisation.of(train[0])
    inputs, folds = scale(train[0]), probe.folds(train[1])
    attempts, losses = [], []
    for strength in probe.PROBE_STRENGTHS:
        solver = LogisticRegression(C=strength, tol=1e-8, max_iter=500)
        left_out = []
        for fold in folds:
            odds = [
                solver.fit(inputs[~fold], row[~fold]).decision_function(inputs[fold])
                for row in train[1].T[:2]
            ]
            left_out.append(np.stack(odds, axis=1))
        truth = np.concatenate([train[1][fold, :2] for fold in folds])
        losses.append(TASK.losses(np.concatenate(left_out), truth).mean())
        odds = [solver.fit(inputs, row).decision_function(scale(checked)) for row in train[1].T[:2]]
        attempts.append(np.stack(odds, axis=1))
    expected = attempts[int(np.argmin(losses))]
    np.testing.assert_allclose(answer(head, checked)[:, :2], expected, atol=2e-3)


@pytest.mark.parametrize("scale", [0, 1, 1e4])
def test_what_training_never_contradicts_is_always_answered(scale: float) -> None:
    head = TASK.probe(examples(60, 0), examples(30, 1), LABELS)
    anywhere = np.random.default_rng(0).normal(0, scale, (50, 6)).astype(np.float32)
    for row in TASK.decode(answer(head, anywhere), LABELS):
        assert "small" in row["labels"] and "loud" not in row["labels"]


def test_training_without_any_variety() -> None:
    features, targets = examples(20, 0)
    targets[:] = [1, 1, 0, 0]
    outputs = answer(TASK.probe((features, targets), (features, targets), LABELS), features)
    np.testing.assert_allclose(outputs, np.tile([30, 30, -30, -30], (20, 1)))


def test_the_naive_answer_is_the_log_odds() -> None:
    _, targets = examples(50, 0)
    share = targets.mean(axis=0)
    constant = TASK.naive(targets, LABELS)
    np.testing.assert_allclose(1 / (1 + np.exp(-constant)), share, atol=1e-5)
    assert np.isfinite(constant).all()
