"""Heads that learn from rows of other tables beside few of the target."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from headstart import catalog
from headstart.contracts import Encoding
from headstart.contracts.head import Shape, TrainingSet
from headstart.contracts.related import Related
from headstart.errors import HeadstartError

WIDTH = 6
TRUTH = np.array([1.0, 0.6, -0.4, 0.2, 0.0, 0.0])
LINEAR = ("source-direction", "source-prior", "source-shrinkage", "source-weighting")


def rows(count: int, seed: int, weights: np.ndarray = TRUTH) -> tuple[np.ndarray, np.ndarray]:
    """Features (N, 6), and numbers (N, 1) that they say but for noise."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(count, WIDTH)).astype(np.float32)
    answers = features @ weights + rng.normal(0, 0.6, count)
    return features, answers[:, None].astype(np.float32)


def target(count: int, seed: int = 1) -> TrainingSet:
    features, answers = rows(count, seed)
    shape = Shape(Encoding.AMOUNTS, WIDTH, 1)
    return TrainingSet(features, answers, np.ones(count), shape)


def source(weights: np.ndarray = TRUTH, known: int = WIDTH) -> Related:
    """A source with such weights, which speaks of the first features."""
    features, answers = rows(400, 9, weights)
    speaks = np.arange(WIDTH) < known
    spread = float(answers.std())
    goals = (answers - answers.mean()) / spread
    return Related("other", features * speaks, goals, speaks, (spread,))


def fitted(name: str, training: TrainingSet, *sources: Related) -> nn.Module:
    return next(iter(catalog.head(name).related_to(sources).candidates(training)))


def error(network: nn.Module) -> float:
    """The mean squared error on other rows of the target."""
    features, answers = rows(2000, 77)
    with torch.inference_mode():
        outputs = network(torch.from_numpy(features)).numpy()
    return float(((outputs - answers) ** 2).mean())


def alone(training: TrainingSet) -> nn.Module:
    examples = training.features, training.targets
    return catalog.task("table-regression").probe(examples, examples, ["y"])


@pytest.mark.parametrize("name", LINEAR)
def test_few_rows_do_better_beside_a_source_that_is_alike(name: str) -> None:
    errors = [
        (error(fitted(name, target(5, seed), source())), error(alone(target(5, seed))))
        for seed in range(12)
    ]
    ours, theirs = np.median(errors, axis=0)
    assert ours < 0.8 * theirs


def test_a_source_that_says_the_opposite_costs_little() -> None:
    errors = [
        (
            error(fitted("source-prior", target(60, seed), source(-TRUTH))),
            error(alone(target(60, seed))),
        )
        for seed in range(6)
    ]
    ours, theirs = np.median(errors, axis=0)
    assert ours < 1.1 * theirs


def test_shrinkage_to_a_source_of_nothing_is_ridge_alone() -> None:
    training = target(30)
    nothing = replace(source(), targets=np.random.default_rng(3).normal(size=(400, 1)))
    network = fitted("source-shrinkage", training, nothing)
    assert error(network) < 1.15 * error(alone(training))


def test_features_that_no_source_knows_are_learned_from_the_target() -> None:
    network = fitted("source-prior", target(200), source(known=1))
    assert error(network) < 0.45  # noise alone is 0.36, and the first feature leaves 0.56 more


@pytest.mark.parametrize("name", [*LINEAR, "pooled-boosting"])
def test_two_fits_are_equal(name: str) -> None:
    one, other = (fitted(name, target(20), source(), source(known=2)) for _ in range(2))
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    assert all(torch.equal(first, second) for first, second in pairs)


@settings(max_examples=15, deadline=None)
@given(factor=st.sampled_from([0.01, 1.0, 1000.0]), offset=st.floats(-100, 100))
def test_answers_do_not_depend_on_the_units_of_a_feature(factor: float, offset: float) -> None:
    training, other = target(12), source()
    moved = training.features.copy()
    moved[:, 0] = moved[:, 0] * factor + offset
    far = other.features.copy()
    far[:, 0] = far[:, 0] * factor + offset
    network = fitted("source-direction", training, other)
    again = fitted(
        "source-direction", replace(training, features=moved), replace(other, features=far)
    )
    with torch.inference_mode():
        before = network(torch.from_numpy(training.features)).numpy()
        after = again(torch.from_numpy(moved)).numpy()
    if factor == 1.0:  # a common part of all spreads sees to the rest only nearly
        np.testing.assert_allclose(after, before, rtol=1e-2, atol=1e-2)
    assert np.isfinite(after).all()


@pytest.mark.parametrize("name", LINEAR)
def test_without_sources_a_head_says_so(name: str) -> None:
    with pytest.raises(HeadstartError, match="Name one with --from"):
        fitted(name, target(20))


def classes(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    features, answers = rows(count, seed)
    return features, (answers[:, 0] > 0).astype(np.int64)


def test_classes_are_learned_beside_a_source_too() -> None:
    shape = Shape(Encoding.INDEX, WIDTH, 2)
    held_out, truth = classes(2000, 5)
    right = []
    for seed in range(8):
        features, labels = classes(8, 40 + seed)
        if len(np.unique(labels)) < 2:
            continue
        training = TrainingSet(features, labels, np.ones(8), shape)
        other = Related("other", *classes(400, 9), np.ones(WIDTH, dtype=bool))
        task = catalog.task("table-classification")
        probe = task.probe((features, labels), (features, labels), ["a", "b"])
        networks = fitted("source-logistic", training, other), probe
        with torch.inference_mode():
            outputs = [n(torch.from_numpy(held_out)).numpy().argmax(axis=1) for n in networks]
        right.append([(answer == truth).mean() for answer in outputs])
    ours, theirs = np.mean(right, axis=0)
    assert ours > theirs + 0.02


def test_a_head_for_classes_refuses_numbers() -> None:
    with pytest.raises(HeadstartError, match="source-logistic learns classes"):
        fitted("source-logistic", target(20), source())
