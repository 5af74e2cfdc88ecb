"""Thousands of labels: the same solutions as of few, and bounded memory."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from peak_memory import output_of

from headstart import catalog
from headstart.contracts import Encoding
from headstart.contracts.head import Shape, TrainingSet
from headstart.heads import linear
from headstart.tasks.classification import many, probe

LABELS = 4
LIMIT = 2.0  # GiB


def examples(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Features of unevenly frequent classes, of which the last but one never occurs."""
    rng = np.random.default_rng(seed)
    targets = rng.choice([0, 1, 3], count, p=[0.6, 0.3, 0.1])
    means = np.random.default_rng(9).normal(0, 1.5, (LABELS, 6))
    return (rng.normal(means[targets])).astype(np.float32), targets.astype(np.int64)


@pytest.mark.parametrize("weights", [None, {0: 0.5, 1: 1.0, 2: 1.0, 3: 3.0}])
def test_in_blocks_the_solutions_are_those_of_the_library(
    weights: dict[int, float] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sklearn.linear_model import LogisticRegression

    monkeypatch.setattr(many, "_BLOCK", 64 * LABELS)  # several blocks, the last one shorter
    (features, targets), checked = examples(300, 0), examples(100, 1)[0]
    held_out = np.arange(300) % 4 == 0
    counts = np.array([1.0 if weights is None else weights[label] for label in targets])
    result = many.Blocks(features, targets, counts, LABELS)
    for strength, outputs in zip(
        probe.PROBE_STRENGTHS, result.held_out(held_out[None]), strict=True
    ):
        class_weights = weights and {label: weights[label] for label in (0, 1, 3)}
        theirs = LogisticRegression(C=strength, max_iter=5000, tol=1e-7, class_weight=class_weights)
        weight, bias = result.solution(strength)
        for part, rows, answers in (
            (~held_out, features[held_out], outputs),
            (held_out | ~held_out, checked, checked @ weight.T + bias),
        ):
            theirs.fit(features[part], targets[part])
            shares = np.exp(answers) / np.exp(answers).sum(axis=1, keepdims=True)
            probabilities = theirs.predict_proba(rows)
            np.testing.assert_allclose(shares[:, [0, 1, 3]], probabilities, atol=5e-3)
            assert shares[:, 2].max() < 1e-6


def test_a_probe_of_many_labels_is_fitted_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    train, validation = examples(200, 0), examples(100, 1)
    names = [str(label) for label in range(LABELS)]
    right = []
    for limit in (many.MANY, 1):
        monkeypatch.setattr(many, "MANY", limit)
        head = catalog.task("image-classification").probe(train, validation, names)
        with torch.inference_mode():
            answers = head(torch.from_numpy(validation[0])).argmax(dim=1).numpy()
        right.append((answers == validation[1]).mean())
    assert right[1] == pytest.approx(right[0], abs=0.03)


@pytest.mark.parametrize("weighted", [False, True])
def test_ridge_by_sums_is_ridge(weighted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    features, targets = examples(300, 2)
    weights = np.where(targets == 3, 3.0, 0.5) if weighted else np.ones(len(targets))
    training = TrainingSet(features, targets, weights, Shape(Encoding.INDEX, 6, LABELS))
    results = []
    for limit in (linear._MANY, 1):
        monkeypatch.setattr(linear, "_MANY", limit)
        heads = list(linear.Ridge().candidates(training))
        results.append([head(torch.from_numpy(features)).detach().numpy() for head in heads])
    assert len(results[0]) == len(results[1]) == len(linear.RIDGE_STRENGTHS)
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3)


def test_columns_are_the_memberships() -> None:
    features, targets = examples(30, 3)
    training = TrainingSet(features, targets, np.ones(30), Shape(Encoding.INDEX, 6, LABELS))
    assert np.array_equal(np.stack(list(training.columns()), axis=1), training.memberships())
    sets = (np.random.default_rng(0).random((30, LABELS)) < 0.5).astype(np.float32)
    training = TrainingSet(features, sets, np.ones(30), Shape(Encoding.MARKS, 6, LABELS))
    assert np.array_equal(np.stack(list(training.columns()), axis=1), training.memberships())


FITTING = """
import sys
import numpy as np, torch
from headstart import catalog
from headstart.contracts import Encoding
from headstart.contracts.head import Shape, TrainingSet
from headstart.tasks.classification import many, probe

items, width, labels = 20_000, 512, 5_000
probe.PROBE_STRENGTHS, many._STEPS = (1e-4, 1e-3), 2  # memory is the same at every step
rng = np.random.default_rng(0)
middles = rng.normal(size=(labels, width)).astype(np.float32)

def drawn(count):
    targets = np.arange(count) % labels
    return middles[targets] + rng.normal(size=(count, width)).astype(np.float32), targets

train, validation = drawn(items), drawn(items // 5)
if sys.argv[1] == "probe":
    names = [str(label) for label in range(labels)]
    head = catalog.task("image-classification").probe(train, validation, names)
else:
    given = TrainingSet(*train, np.ones(items), Shape(Encoding.INDEX, width, labels))
    head = next(iter(catalog.head(sys.argv[1]).candidates(given)))
with torch.inference_mode():
    right = head(torch.from_numpy(validation[0])).argmax(dim=1).numpy() == validation[1]
print(right.mean(), peak() / 2**20)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads memory in Linux's unit")
@pytest.mark.parametrize("head", ["probe", "ridge"])
def test_five_thousand_labels_fit_into_two_gigabytes(head: str) -> None:
    right, gibibytes = map(float, output_of(FITTING, head).split())
    assert right > 0.9
    assert gibibytes < LIMIT
