"""What a sample derives once: codes, centred features, axes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.tasks.classification import Classification
from headstart.tasks.classification.multi_label import MultiLabel
from headstart.tasks.regression import Regression
from headstart.transferability import Sample

RNG = np.random.default_rng(5)
FEATURES = RNG.normal(size=(8, 3)).astype(np.float32)


def test_codes_are_what_tasks_judge_as_right() -> None:
    classes = np.array([0, 3, 1, 1, 0, 3, 3, 0])
    codes = Sample(FEATURES, classes, "classes").codes
    assert codes.shape == (8, 4) and codes.dtype == np.float64
    assert Classification().scores(codes, classes).tolist() == [1] * 8

    labels = (RNG.random((8, 3)) < 0.5).astype(np.float32)
    codes = Sample(FEATURES, labels, "label sets").codes
    assert set(codes.ravel()) == {-1, 1}
    assert MultiLabel().scores(codes, labels).tolist() == [1] * 8

    numbers = RNG.normal(50, 9, (8, 2)).astype(np.float32)
    codes = Sample(FEATURES, numbers, "numbers").codes
    exact = numbers.astype(np.float64)
    task = Regression(tuple(exact.mean(axis=0)), tuple(exact.std(axis=0)))
    assert task.scores(codes, numbers) == pytest.approx(np.ones(8))


def test_a_number_that_never_changes_is_0_and_the_scale_of_others_does_not_matter() -> None:
    numbers = np.array([[0.1, 1e300], [0.1, -1e300], [0.1, 0]])
    sample = Sample(np.eye(3), numbers, "numbers")
    assert sample.codes[:, 0].tolist() == [0, 0, 0]
    assert sample.codes[:, 1] == pytest.approx(np.sqrt(1.5) * np.array([1, -1, 0]))
    assert sample.varying.tolist() == [False, True]


@given(
    count=st.integers(2, 20),
    width=st.integers(1, 20),
    power=st.integers(-200, 200),
    seed=st.integers(0, 99),
)
def test_axes_are_the_centred_features_turned(
    count: int, width: int, power: int, seed: int
) -> None:
    features = (np.random.default_rng(seed).normal(size=(count, width)) + 3) * 10.0**power
    sample = Sample(features, np.arange(count), "classes")
    assert sample.centred.mean(axis=0) == pytest.approx(np.zeros(width), abs=1e-12)
    assert (sample.centred**2).sum() == pytest.approx(count)
    axes, lengths = sample.axes
    assert lengths.shape == (min(count - 1, width),)
    assert (np.diff(lengths) <= 0).all()
    assert axes.T @ axes == pytest.approx(np.eye(len(lengths)), abs=1e-9)
    products = sample.centred @ sample.centred.T
    turned = axes * lengths
    assert turned @ turned.T == pytest.approx(products, abs=1e-9)


def test_repeated_rows_and_columns_leave_the_rank() -> None:
    narrow = RNG.normal(size=(4, 2))
    sample = Sample(np.tile(narrow, (5, 3)), np.arange(20) % 2, "classes")
    assert sample.axes[1].shape == (2,)
    same = Sample(np.full((5, 3), 0.1), np.arange(5), "classes")
    assert same.axes[0].shape == (5, 0)
    assert (same.centred == 0).all()


def test_features_near_the_end_of_the_range_do_not_overflow() -> None:
    features = np.array([[1.7, 0.1], [1.6, 0.2], [-1.7, 0.4]])
    expected = Sample(features, np.arange(3), "classes").centred
    assert Sample(features * 1e308, np.arange(3), "classes").centred == pytest.approx(expected)


def test_half_precision_and_given_arrays_are_left_as_they_are() -> None:
    features = (FEATURES * 1000).astype(np.float16)
    copy = features.copy()
    sample = Sample(features, np.arange(8) % 2, "classes")
    assert sample.axes[0].dtype == np.float64
    assert np.isfinite(sample.axes[0]).all()
    assert (features == copy).all()
