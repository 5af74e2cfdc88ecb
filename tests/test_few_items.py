"""Intervals where few items decide: rare classes, lone items, families of copies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2, norm

from headstart.contracts import Metric
from headstart.contracts.metric import NUMBERS
from headstart.evidence import (
    Arm,
    Draws,
    Evidence,
    Resampling,
    average,
    metric_interval,
    paired,
    verdict,
)
from headstart.evidence.by_class import by_class
from headstart.evidence.labels import Curve
from headstart.evidence.of_classes import average_of_classes, paired_of_classes
from headstart.evidence.resampling import PLAIN, scale
from headstart.metrics.error import MAE, R2, RMSE
from headstart.metrics.order import AUROC, AveragePrecision
from headstart.metrics.probability import Brier, LogLoss
from headstart.metrics.right import BalancedAccuracy
from headstart.tasks.classification import Classification

few = settings(max_examples=8, deadline=None)


def classes(*sizes: int) -> np.ndarray:
    """The class of each item, of classes so large."""
    return np.repeat(np.arange(len(sizes)), sizes)


@few
@given(hits=st.integers(0, 30), misses=st.integers(0, 30))
def test_of_one_class_the_interval_is_wilsons(hits: int, misses: int) -> None:
    right = np.repeat([1.0, 0.0], [hits, misses])
    if len(right):
        own, wilson = average_of_classes(right, np.zeros(len(right))), average(right)
        bounds = own.value, own.low, own.high
        assert bounds == pytest.approx((wilson.value, wilson.low, wilson.high), abs=1e-6)


@pytest.mark.parametrize("sizes", [(1, 50), (10, 100), (1, 1, 1, 1, 20, 20)])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_balanced_accuracy_holds_where_classes_are_rare(
    sizes: tuple[int, ...], share: float
) -> None:
    targets, rng = classes(*sizes), np.random.default_rng(0)
    holds = claims = 0
    for one, other in (rng.random((30, 2, len(targets))) < share).astype(float):
        interval = average_of_classes(one, targets)
        holds += interval.low <= share <= interval.high
        claims += verdict(paired_of_classes(one - other, targets)) != "no evidence"
    assert holds >= 25 and claims <= 4  # a lone item is right or not: 27 of 30 on average


def test_a_lone_item_of_a_rare_class_is_no_evidence() -> None:
    targets = classes(1, 50)
    ours, theirs = np.eye(2)[targets], np.eye(2)[np.ones(51, int)]
    gain = Resampling(BalancedAccuracy(), targets).gain(ours, theirs)
    assert gain.value == 0.5 and verdict(gain) == "no evidence"


@few
@given(seed=st.integers(0, 999), copies=st.integers(1, 4), folds=st.sampled_from([1.0, 1.5]))
def test_copies_and_folds_never_narrow(seed: int, copies: int, folds: float) -> None:
    rng = np.random.default_rng(seed)
    families = np.repeat(np.arange(8), copies)
    right, other = (rng.random((2, len(families))) < 0.6).astype(float)
    targets = families % 2
    pairs = [
        (average(right), average(right, clusters=families, spread=folds)),
        (paired(right, other), paired(right, other, clusters=families, spread=folds)),
        (average_of_classes(right, targets), average_of_classes(right, targets, families, folds)),
        (
            paired_of_classes(right - other, targets),
            paired_of_classes(right - other, targets, families, folds),
        ),
        (average(right - 2.5), average(right - 2.5, clusters=families, spread=folds)),
    ]
    for plain, wide in pairs:
        assert type(wide.low) is type(wide.high) is float  # a record is written as JSON
        assert wide.width >= plain.width - 1e-9 and wide.value == plain.value


@pytest.mark.parametrize("metric", [AUROC(), AveragePrecision()])
def test_order_of_few_is_no_certainty(metric: Metric) -> None:
    targets = classes(50, 2)
    sure = np.where(targets > 0, 0.9, 0.1)
    best = np.stack([1 - sure, sure], axis=1)
    whole = Resampling(metric, targets).interval(best)
    assert whole.high == 1.0 and whole.low < 0.1
    many = classes(200, 200)
    best = np.eye(2)[many]
    assert Resampling(metric, many).interval(best).low > 0.95


@pytest.mark.parametrize("metric", [RMSE(), MAE()])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_errors_claim_little(metric: Metric, count: int) -> None:
    rng, claims = np.random.default_rng(count), 0
    for _ in range(30):
        targets, one, other = 100 * rng.normal(size=(3, count, 1))
        gain = (
            Resampling(metric, targets).gain(one, other)
            if metric.resampled
            else paired(metric.scores(one, targets), metric.scores(other, targets))
        )
        claims += verdict(gain) != "no evidence"
    assert claims <= 5


def test_what_explains_less_than_nothing_may_be_below_zero() -> None:
    scores = np.array([0.9, 0.8, -3.0, 0.95, 0.9, 0.7])
    interval = average(scores)
    assert interval.low < 0 < interval.value < interval.high <= 1


def test_copies_widen_a_gain_over_seeds() -> None:
    rng = np.random.default_rng(0)
    ours, theirs = (rng.random((2, 3, 10)) < [[[0.8]], [[0.5]]]).astype(float).repeat(4, axis=2)
    arms = {
        name: Arm(name, rows[0], (0.0, 0.0), 0.0)
        for name, rows in (("chosen", ours), ("scratch", theirs), ("naive", theirs))
    }
    plain = Evidence("accuracy", arms, "", {}, by_seed={"chosen": ours, "scratch": theirs})
    copies = replace(plain, clusters=np.arange(10).repeat(4))
    assert plain.gain is not None and copies.gain is not None
    assert copies.gain.width > 1.5 * plain.gain.width


def test_near_copies_of_an_order_count_once() -> None:
    targets, rng = classes(8, 8), np.random.default_rng(1)
    sure = np.clip(0.3 * targets + 0.7 * rng.random(16), 0, 1).repeat(3)
    outputs = np.stack([1 - sure, sure], axis=1)
    once = Resampling(AUROC(), targets).interval(outputs[::3])
    families = Draws(clusters=np.arange(16).repeat(3))
    copies = Resampling(AUROC(), targets.repeat(3), draws=families).interval(outputs)
    assert copies.width == pytest.approx(once.width, rel=0.1)


@pytest.mark.parametrize("metric", [MAE(), RMSE(), Brier(), LogLoss()])
def test_no_loss_on_a_few_items_is_not_none_to_come(metric: Metric) -> None:
    numbers = NUMBERS in metric.kinds
    targets = np.array([[2.0], [4.0], [6.0], [12.0]]) if numbers else classes(2, 2)
    best = targets if numbers else np.eye(2)[targets]
    interval = metric_interval(metric, best, targets)
    assert interval.low <= interval.value <= 1e-12
    # three quarters, as the rule of three says of four, of the scale or of the numbers' range
    assert interval.high == pytest.approx(0.75 * scale(metric, targets), abs=1e-9)
    assert (
        scale(metric, targets)
        == {"MAE": 10, "RMSE": 10, "Brier score": 2, "log loss": 1}[metric.name]
    )


def test_a_lone_number_explains_nothing_of_a_variance() -> None:
    interval = metric_interval(R2(), np.array([[3.0]]), np.array([[3.0]]))
    assert interval.value == interval.high == 1.0 and interval.low < -8


@few
@given(count=st.integers(1, 12), seed=st.integers(0, 99))
def test_an_error_may_be_as_far_off_as_chi_square_says(count: int, seed: int) -> None:
    errors = np.random.default_rng(seed).normal(size=(count, 1))
    interval = metric_interval(RMSE(), errors, np.zeros((count, 1)))
    ratio = np.sqrt(count / chi2.ppf([0.975, 0.025], count))
    assert interval.low <= interval.value * ratio[0] + 1e-9
    assert interval.high >= interval.value * ratio[1] - 1e-9


def test_an_order_holds_near_its_end() -> None:
    targets, holds = classes(10, 50), 0
    shift = np.sqrt(2) * norm.ppf(0.9)
    for seed in range(20):
        sure = norm.cdf(np.random.default_rng(seed).normal(size=60) + shift * targets)
        interval = Resampling(AUROC(), targets).interval(np.stack([1 - sure, sure], axis=1))
        holds += interval.low <= 0.9 <= interval.high
    assert holds >= 18  # 16 of these where resamples alone say how far


def test_copies_widen_curves_and_classes() -> None:
    targets, rng = classes(8, 8).repeat(4), np.random.default_rng(0)
    right = (rng.random((3, 2, 16)) < 0.7).astype(float).repeat(4, axis=2)
    once = Curve((8, 16), right)
    families = replace(once, clusters=np.arange(16).repeat(4))
    for one, other in zip(once.points(), families.points(), strict=True):
        assert other["high"] - other["low"] > 1.2 * (one["high"] - one["low"])
    outputs = np.eye(2)[np.where(right[0, 0] > 0, targets, 1 - targets)]
    task, draws = Classification(), Draws(clusters=np.arange(16).repeat(4))
    tables = [by_class(task, ("a", "b"), outputs, targets, draws=own) for own in (PLAIN, draws)]
    for one, other in zip(*(table["rows"] for table in tables if table), strict=True):
        assert other["high"] - other["low"] > 1.3 * (one["high"] - one["low"])
