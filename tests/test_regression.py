"""Regression: units, R² as it is known elsewhere, and how strong the probe's ridge is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from torch import nn

from headstart.contracts import Batch, ridge
from headstart.contracts.model import Model
from headstart.contracts.standardisation import Standardisation, principal_axes
from headstart.tasks.regression import Regression

LABELS = ("price", "area")
TASK = Regression(mean=(100.0, -2.0), scale=(50.0, 0.5))
numbers = arrays.arrays(
    np.float32, st.tuples(st.integers(2, 9), st.just(2)), elements=st.floats(-99, 99, width=16)
)


def single(rows: Any) -> np.ndarray:
    return np.array(rows, dtype=np.float32)


def answer(head: nn.Module, features: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        outputs: np.ndarray = head(torch.from_numpy(features)).numpy()
    return outputs


def linear(count: int, width: int, noise: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features (N, D), and two numbers that are linear in them but for noise."""
    rng = np.random.default_rng(seed)
    weight = np.random.default_rng(99).normal(0, 1, (width, 2)) / np.sqrt(width)
    features = rng.normal(0, 1, (count, width)).astype(np.float32)
    result = features @ weight + rng.normal(0, noise, (count, 2))
    return features, (result * [50, 0.5] + [100, -2]).astype(np.float32)


def test_outputs_are_standardised_and_answers_are_not() -> None:
    outputs = single([[0, 0], [1, -2]])
    assert TASK.decode(outputs, LABELS) == [
        {"values": {"price": 100.0, "area": -2.0}},
        {"values": {"price": 150.0, "area": -3.0}},
    ]
    assert Regression((3.0,), (2.0,)).decode(single([[0.5]]), ("x",)) == [{"value": 4.0}]
    assert Regression().decode(single([[0.5]]), ("x",)) == [{"value": 0.5}]


def test_the_loss_is_squared_error_in_standardised_units() -> None:
    outputs, targets = (
        torch.tensor([[0.0, 0.0], [1.0, 0.0]]),
        torch.tensor([[150.0, -2], [150, -1]]),
    )
    model = Model({"as they are": nn.Identity()}, nn.Identity())
    assert TASK.step(model, Batch(outputs, targets)).loss.item() == pytest.approx(
        (1 + 0 + 0 + 4) / 4
    )
    losses = TASK.losses(outputs.numpy(), targets.numpy())
    np.testing.assert_allclose(losses, [0.5, 2.0])


@given(numbers, st.integers(0, 9))
def test_the_mean_score_is_r2(targets: np.ndarray, seed: int) -> None:
    assume((np.ptp(targets, axis=0) > 1).all())
    outputs = np.random.default_rng(seed).normal(0, 1, targets.shape)
    answers = [list(row["values"].values()) for row in TASK.decode(outputs, LABELS)]
    expected = r2_score(targets.astype(np.float64), answers)
    assert TASK.scores(outputs, targets).mean() == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_where_nothing_varies_only_exact_answers_score() -> None:
    targets = single([[5, 1], [5, 2], [5, 3]])
    outputs = np.array([[5, 1], [5, 2], [6, 3]])
    np.testing.assert_array_equal(Regression().scores(outputs, targets), [1, 1, 0.5])


def test_a_number_that_never_changed_in_training_is_answered_as_it_was() -> None:
    task = Regression((7.0,), (0.0,))
    assert task.decode(single([[0.0]]), ("x",)) == [{"value": 7.0}]
    assert np.isfinite(task.losses(single([[0.0]]), single([[9.0]]))).all()


def test_the_naive_answer_is_the_mean_and_explains_nothing() -> None:
    _, targets = linear(50, 3, 0.1)
    mean, scale = targets.mean(axis=0), targets.std(axis=0)
    task = Regression(tuple(mean.tolist()), tuple(scale.tolist()))
    constant = task.naive(targets, LABELS)
    np.testing.assert_allclose(constant, [0, 0], atol=1e-6)
    scores = task.scores(np.tile(constant, (50, 1)), targets)
    assert scores.mean() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("width", [5, 80])
def test_the_probe_is_ridge_regression_of_the_best_strength(width: int) -> None:
    train, checked = linear(40, width, 0.5), linear(30, width, 0.5, seed=1)[0]
    head = TASK.probe(train, train, LABELS)
    scale = Standardisation.of(train[0])
    inputs, target = scale(train[0]), (train[1] - [100, -2]) / [50, 0.5]
    every, errors = [], []
    for strength in ridge.STRENGTHS:
        solver = Ridge(40 * strength)
        left_out = cross_val_predict(solver, inputs, target, cv=LeaveOneOut())
        errors.append(((left_out - target) ** 2).mean(axis=0))
        every.append(solver.fit(inputs, target).predict(scale(checked)))
    best = np.argmin(errors, axis=0)
    expected = np.stack([every[place][:, n] for n, place in enumerate(best)], axis=1)
    np.testing.assert_allclose(answer(head, checked), expected, atol=2e-4)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 99), power=st.floats(-4, 3), width=st.integers(1, 30))
def test_the_error_of_an_item_left_out_is_that_without_it(
    seed: int, power: float, width: int
) -> None:
    rng = np.random.default_rng(seed)
    inputs, targets = rng.normal(size=(12, width)), rng.normal(size=(12, 2))
    inputs, targets = inputs - inputs.mean(axis=0), targets - targets.mean(axis=0)
    strength = 12 * 10.0**power
    lengths, axes = principal_axes(inputs)
    turned = inputs @ axes
    result = ridge._left_out(turned, lengths + strength, turned.T @ targets, targets)
    answers = cross_val_predict(Ridge(strength), inputs, targets, cv=LeaveOneOut())
    np.testing.assert_allclose(result, ((answers - targets) ** 2).mean(axis=0), rtol=1e-4)


def test_the_probe_shrinks_what_only_noise_says() -> None:
    noise = [
        (
            np.random.default_rng(n).normal(0, 1, (60, 50)).astype(np.float32),
            linear(60, 50, 1, n)[1],
        )
        for n in (1, 2, 3)
    ]
    head = TASK.probe(noise[0], noise[1], LABELS)
    assert TASK.scores(answer(head, noise[2][0]), noise[2][1]).mean() > -0.2
