"""What the flow relies on in any metric, and that it is what scikit-learn says."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from headstart import catalog
from headstart.contracts import Mean, Metric
from headstart.contracts.metric import BOXES, CLASSES, SEQUENCES
from headstart.evidence.intervals import average, bootstrap
from headstart.evidence.resampling import Draws, Resampling
from headstart.testing.metrics import CHECKS, Answers, Sample, subject

drawn = cache(Answers.random)  # which several metrics are given, and none changes
CASES = [
    (name, kind)
    for name in sorted(catalog.METRICS)
    for kind in sorted(catalog.metric_named(name).kinds)
]
SEEDS = st.integers(0, 15)  # few, so that all metrics of a kind share what is drawn
every_case = pytest.mark.parametrize(("name", "kind"), CASES)


def expected(name: str, kind: str, predictions: np.ndarray, targets: np.ndarray) -> float:
    """The value by scikit-learn."""
    labels, sets = np.arange(predictions.shape[1]), predictions > 0.5
    answers = predictions.argmax(axis=1)
    one_hot = np.eye(len(labels))[targets] if kind == CLASSES else targets
    binary = kind == CLASSES and len(labels) == 2
    ranked = (targets, predictions[:, 1]) if binary else (one_hot, predictions)

    def per_label(loss: Callable[..., float]) -> float:
        return float(np.mean([loss(one_hot[:, n], predictions[:, n]) for n in labels]))

    by_name: dict[str, Callable[[], Any]] = {
        "accuracy": lambda: sk.accuracy_score(targets, answers),
        "balanced-accuracy": lambda: sk.balanced_accuracy_score(targets, answers),
        "macro-f1": lambda: sk.f1_score(
            targets, answers if kind == CLASSES else sets, average="macro", zero_division=np.nan
        ),
        "micro-f1": lambda: sk.f1_score(
            targets, answers if kind == CLASSES else sets, average="micro", zero_division=1.0
        ),
        "f1": lambda: sk.f1_score(targets, sets, average="samples", zero_division=1.0),
        "auroc": lambda: sk.roc_auc_score(*ranked, average="macro"),
        "average-precision": lambda: sk.average_precision_score(*ranked, average="macro"),
        "log-loss": lambda: (
            sk.log_loss(targets, predictions, labels=labels)
            if kind == CLASSES
            else per_label(lambda y, p: sk.log_loss(y, p, labels=[0, 1]))
        ),
        "brier": lambda: (
            sk.brier_score_loss(targets, predictions, labels=labels)
            if kind == CLASSES
            else per_label(sk.brier_score_loss)
        ),
        "mae": lambda: sk.mean_absolute_error(targets, predictions),
        "rmse": lambda: sk.root_mean_squared_error(targets, predictions),
        "r2": lambda: sk.r2_score(targets, predictions),
        "spearman": lambda: np.mean([_spearman(predictions[:, n], targets[:, n]) for n in labels]),
    }
    return float(by_name[name]())


def _spearman(one: np.ndarray, other: np.ndarray) -> float:
    from scipy.stats import spearmanr

    return float(spearmanr(one, other).statistic)


def at(items: Answers, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Predictions and targets of some of the items, perhaps several times."""
    return items.predictions[places], items.targets[places]


@pytest.mark.parametrize("name", sorted(catalog.names("metrics")))
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_it_keeps_its_contract(check: Callable[[Sample], None], name: str) -> None:
    check(subject(catalog.metric_named(name), None))


@pytest.mark.parametrize("name", sorted(catalog.names("metrics")))
def test_it_is_documented_and_says_what_it_judges(name: str) -> None:
    metric = catalog.metric_named(name)
    assert isinstance(metric, Metric)
    assert inspect.getdoc(type(metric))
    assert metric.name and metric.kinds
    assert metric.bounds[0] <= metric.undefined <= metric.bounds[1]
    assert all(name in catalog.metrics_for(kind) for kind in metric.kinds)


@pytest.mark.parametrize(
    ("name", "kind"), [case for case in CASES if case[1] not in (BOXES, SEQUENCES)]
)
@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, labels=st.sampled_from([2, 3, 5]))
def test_its_value_is_that_of_scikit_learn(name: str, kind: str, seed: int, labels: int) -> None:
    items = drawn(kind, seed, labels=labels)
    value = catalog.metric_named(name).of(items.predictions, items.targets)
    assert value == pytest.approx(expected(name, kind, items.predictions, items.targets), abs=1e-9)


@every_case
@settings(max_examples=16, deadline=None)
@given(seed=SEEDS)
def test_a_resample_is_worth_what_its_items_are(name: str, kind: str, seed: int) -> None:
    metric, items = catalog.metric_named(name), drawn(kind, seed)
    count = len(items.targets)
    places = np.random.default_rng(seed).integers(0, count, (4, count))
    weights = np.stack([np.bincount(row, minlength=count) for row in places])
    values = metric.resamples(items.predictions, items.targets, weights)
    assert values == pytest.approx([metric.of(*at(items, row)) for row in places], abs=1e-9)


@every_case
@settings(max_examples=16, deadline=None)
@given(seed=SEEDS)
def test_scores_mean_the_value_whatever_the_order(name: str, kind: str, seed: int) -> None:
    metric, items = catalog.metric_named(name), drawn(kind, seed)
    scores = metric.scores(items.predictions, items.targets)
    sign = -1 if metric.less_is_better else 1
    value = metric.of(items.predictions, items.targets)
    assert scores.shape == (len(items.targets),)
    assert sign * scores.mean() == pytest.approx(value, abs=1e-9)
    assert metric.bounds[0] <= value <= metric.bounds[1]
    turned = np.random.default_rng(seed).permutation(len(scores))
    assert metric.scores(*at(items, turned)) == pytest.approx(scores[turned], abs=1e-9)
    assert metric.of(*at(items, turned)) == pytest.approx(value, abs=1e-9)


@every_case
def test_perfect_answers_are_worth_the_best_and_are_better(name: str, kind: str) -> None:
    metric, items = catalog.metric_named(name), drawn(kind, 3)
    best = metric.bounds[0 if metric.less_is_better else 1]
    assert metric.of(items.right, items.targets) == pytest.approx(best, abs=1e-9)
    better = metric.scores(items.right, items.targets).mean()
    assert better > metric.scores(items.predictions, items.targets).mean()


@every_case
def test_the_spread_of_its_scores_is_that_of_its_value(name: str, kind: str) -> None:
    metric = catalog.metric_named(name)
    values, errors = [], []
    for seed in range(60):  # which tell a spread to a tenth
        items = drawn(kind, seed, count=120)
        scores = metric.scores(items.predictions, items.targets)
        values.append(scores.mean())
        errors.append(scores.std() / len(scores) ** 0.5)
    if name != "r2":  # whose scores take the targets' variance as given
        assert np.mean(errors) == pytest.approx(np.std(values), rel=0.35)
    assert np.mean(errors) > 0.5 * np.std(values)


@every_case
def test_an_interval_holds_the_value_and_its_gain_is_paired(name: str, kind: str) -> None:
    metric, items = catalog.metric_named(name), drawn(kind, 5, count=200)
    worse = drawn(kind, 6, count=200).predictions
    result = Resampling(metric, items.targets)
    interval = result.interval(items.predictions)
    assert metric.bounds[0] <= interval.low <= interval.value <= interval.high <= metric.bounds[1]
    assert interval.value == pytest.approx(metric.of(items.predictions, items.targets))
    scores = metric.scores(items.predictions, items.targets)
    near = bootstrap(scores, lowest=-1.0).times(-1 if metric.less_is_better else 1)
    width = near.high - near.low
    assert interval.low == pytest.approx(near.low, abs=0.4 * width)
    assert interval.high == pytest.approx(near.high, abs=0.4 * width)
    gain = result.gain(items.predictions, worse)
    assert gain.low > 0  # better, whichever way the metric counts
    back = result.gain(worse, items.predictions)
    assert (back.value, back.high) == pytest.approx((-gain.value, -gain.low))
    same = result.gain(items.predictions, items.predictions.copy())
    assert same.low <= same.value == 0 <= same.high


def test_families_of_items_widen_an_interval() -> None:
    metric, items = catalog.metric_named("auroc"), drawn(CLASSES, 5, count=100)
    twice = np.concatenate([np.arange(100), np.arange(100)])
    copies = Answers(*at(items, twice), items.right[twice])
    widths = []
    for clusters in (None, twice):
        interval = Resampling(metric, copies.targets, draws=Draws(clusters=clusters)).interval(
            copies.predictions
        )
        widths.append(interval.high - interval.low)
    alone = Resampling(metric, items.targets).interval(items.predictions)
    assert widths[0] < 0.85 * widths[1]
    assert widths[1] == pytest.approx(alone.high - alone.low, rel=0.2)


def test_where_nothing_varies_an_interval_has_room_all_the_same() -> None:
    targets = np.arange(30) % 2
    interval = Resampling(catalog.metric_named("auroc"), targets).interval(np.eye(2)[targets])
    assert (interval.low, interval.value, interval.high) == pytest.approx((0.9, 1.0, 1.0))


def test_items_that_cannot_tell_are_worth_what_chance_is() -> None:
    shares, one = np.full((5, 2), 0.5), np.zeros(5, dtype=np.int64)
    assert catalog.metric_named("auroc").of(shares, one) == 0.5
    assert catalog.metric_named("auroc").scores(shares, one).tolist() == [0.5] * 5
    numbers = np.arange(5.0)[:, None]
    assert catalog.metric_named("spearman").of(np.ones((5, 1)), numbers) == 0.0
    assert np.isfinite(catalog.metric_named("spearman").scores(np.ones((5, 1)), numbers)).all()
    for name in sorted(catalog.METRICS):
        metric = catalog.metric_named(name)
        for kind in metric.kinds:
            none = at(drawn(kind, 0), np.arange(0))
            assert metric.scores(*none).shape == (0,), (name, kind)


def test_a_mean_has_the_scores_it_always_had() -> None:
    items = drawn(CLASSES, 1)
    metric = catalog.metric_named("accuracy")
    assert isinstance(metric, Mean)
    hits = items.predictions.argmax(axis=1) == items.targets
    scores = metric.scores(items.predictions, items.targets)
    assert scores.tolist() == hits.astype(float).tolist()
    assert average(scores) == average(hits.astype(float))
