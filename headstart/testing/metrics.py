"""What evidence relies on in any metric, whatever it counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from headstart.contracts import Metric
from headstart.errors import ContractError
from headstart.testing.demands import constructor_only_stores, demand, instance, is_documented

_ITEMS, _LABELS = 60, 3


@dataclass(frozen=True)
class Answers:
    """Predictions of many items, better than chance and with ties, and the right ones."""

    predictions: np.ndarray
    targets: np.ndarray
    right: np.ndarray


@dataclass(frozen=True)
class Sample:
    """A metric, and answers of each kind of target that it judges."""

    metric: Metric
    answers: dict[str, Answers]


def _classes(rng: np.random.Generator) -> Answers:
    targets = rng.permutation(np.arange(_ITEMS) % _LABELS)
    odds = np.exp(np.eye(_LABELS)[targets] + rng.normal(0, 1, (_ITEMS, _LABELS)).round(1))
    return Answers(odds / odds.sum(axis=1, keepdims=True), targets, np.eye(_LABELS)[targets])


def _label_sets(rng: np.random.Generator) -> Answers:
    targets = (rng.random((_ITEMS, _LABELS)) < 0.4).astype(np.float32)
    shares = (0.5 * targets + 0.6 * rng.random(targets.shape)).clip(0, 1).round(2)
    return Answers(shares, targets, targets.astype(np.float64))


def _numbers(rng: np.random.Generator) -> Answers:
    targets = rng.normal(20, 5, (_ITEMS, 2)).round(1)
    return Answers((targets + rng.normal(0, 3, targets.shape)).round(1), targets, targets)


KINDS: Final[dict[str, Callable[[np.random.Generator], Answers]]] = {
    "classes": _classes,
    "label sets": _label_sets,
    "numbers": _numbers,
}


def subject(part: Any, example: Any) -> Sample:
    """What the checks take. Raises ContractError for kinds of target that need an example."""
    metric: Metric = instance("metrics", part, Metric)
    if example is not None:
        return Sample(metric, {"example": Answers(*map(np.asarray, example))})
    unknown = sorted(set(metric.kinds) - set(KINDS))
    if unknown or not metric.kinds:
        raise ContractError(
            f"{type(metric).__name__} judges {unknown}, of which no examples are known. "
            "Give example=(predictions, targets, predictions that are right) of many items."
        )
    rng = np.random.default_rng(0)
    return Sample(metric, {kind: KINDS[kind](rng) for kind in metric.kinds})


def is_documented_and_says_what_it_judges(sample: Sample) -> None:
    """It has a name, kinds of target, and bounds that hold what stands for no value."""
    metric = sample.metric
    is_documented(metric)
    constructor_only_stores(metric)
    demand(metric.name, metric, "has no name", "Set name as it is to be shown")
    low, high = metric.bounds
    demand(
        low <= metric.undefined <= high,
        metric,
        f"has {metric.undefined} for undefined, outside of its bounds {metric.bounds}",
        "Set what chance is worth",
    )


def its_value_lies_within_its_bounds(sample: Sample) -> None:
    """And right answers are worth the best of them."""
    metric = sample.metric
    low, high = metric.bounds
    for each in sample.answers.values():
        value, right = (metric.of(p, each.targets) for p in (each.predictions, each.right))
        demand(
            low <= value <= high, metric, f"is {value}, outside of {metric.bounds}", "Widen them"
        )
        best = low if metric.less_is_better else high
        demand(
            np.isclose(right, best, atol=1e-6),
            metric,
            f"is {right:.6g} for right answers, and {best} at best by its bounds",
            "Set less_is_better and bounds",
        )


def a_resample_is_worth_what_its_items_are(sample: Sample) -> None:
    """Weights say how often an item is held."""
    metric = sample.metric
    for each in sample.answers.values():
        count = len(each.targets)
        rows = np.random.default_rng(1).integers(0, count, (4, count))
        weights = np.stack([np.bincount(row, minlength=count) for row in rows])
        values = metric.resamples(each.predictions, each.targets, weights)
        expected = [metric.of(each.predictions[row], each.targets[row]) for row in rows]
        demand(
            np.allclose(values, expected, rtol=1e-6, atol=1e-6),
            metric,
            f"is {values[0]:.6g} for a resample whose items are worth {expected[0]:.6g}",
            "Let value count an item as often as its weight says",
        )


def scores_mean_the_value_whatever_the_order(sample: Sample) -> None:
    """One number an item, more is better, and their mean is the value."""
    metric = sample.metric
    sign = -1 if metric.less_is_better else 1
    for each in sample.answers.values():
        scores = metric.scores(each.predictions, each.targets)
        demand(
            scores.shape == (len(each.targets),) and np.isfinite(scores).all(),
            metric,
            f"has scores of shape {scores.shape} for {len(each.targets)} items, or not finite",
            "Answer (N,)",
        )
        value = metric.of(each.predictions, each.targets)
        demand(
            np.isclose(sign * scores.mean(), value, atol=1e-6),
            metric,
            f"has scores with the mean {scores.mean():.6g} and the value {value:.6g}",
            "Give value a slope in the weights, and leave it as it is where all are scaled",
        )
        turned = np.random.default_rng(2).permutation(len(scores))
        again = metric.scores(each.predictions[turned], each.targets[turned])
        demand(
            np.allclose(again, scores[turned], atol=1e-6),
            metric,
            "scores items by where they stand",
            "Let statistics look at each item alone",
        )


def no_items_have_no_scores(sample: Sample) -> None:
    """Folds may hold none."""
    for each in sample.answers.values():
        shape = sample.metric.scores(each.predictions[:0], each.targets[:0]).shape
        demand(shape == (0,), sample.metric, f"has scores {shape} for no items", "Answer (0,)")


CHECKS: Final[tuple[Callable[[Sample], None], ...]] = (
    is_documented_and_says_what_it_judges,
    its_value_lies_within_its_bounds,
    a_resample_is_worth_what_its_items_are,
    scores_mean_the_value_whatever_the_order,
    no_items_have_no_scores,
)
