"""What evidence relies on in any metric, whatever it counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from headstart.contracts import Metric
from headstart.contracts.metric import BOXES, CLASSES, LABEL_SETS, NUMBERS, SEQUENCES
from headstart.contracts.sequences import encoded
from headstart.testing.demands import checks_in, demand, demand_shape

CONTRACT: Final = Metric


@dataclass(frozen=True)
class Answers:
    """Predictions of many items, better than chance and with ties, and the right ones."""

    predictions: np.ndarray
    targets: np.ndarray
    right: np.ndarray

    @classmethod
    def random(cls, kind: str, seed: int = 0, count: int = 60, labels: int = 3) -> Answers:
        """Those of a kind of target. Raises Fault for a kind of which none are known."""
        rng = np.random.default_rng(seed)
        if kind == CLASSES:
            targets = rng.permutation(np.arange(count) % labels)
            right = np.eye(labels)[targets]
            odds = np.exp(right + rng.normal(0, 1, (count, labels)).round(1))
            return cls(odds / odds.sum(axis=1, keepdims=True), targets, right)
        if kind == LABEL_SETS:
            sets = (rng.random((count, labels)) < 0.4).astype(np.float32)
            shares = (0.5 * sets + 0.6 * rng.random(sets.shape)).clip(0, 1).round(2)
            return cls(shares, sets, sets.astype(np.float64))
        if kind == BOXES:
            return cls._boxes(rng, count)
        if kind == SEQUENCES:
            return cls._texts(rng, count)
        demand(
            kind == NUMBERS,
            f"judges {kind!r}, of which no examples are known. "
            "Give example=(predictions, targets, predictions that are right) of many items.",
        )
        numbers = rng.normal(20, 5, (count, 2)).round(1)
        return cls((numbers + rng.normal(0, 3, numbers.shape)).round(1), numbers, numbers)

    @classmethod
    def _texts(cls, rng: np.random.Generator, count: int) -> Answers:
        """Texts of some words, in answers a few of them others or missing."""
        words = np.array("an ant saw two bees and one cat on its way home today".split())
        texts = [rng.choice(words, rng.integers(4, 9)) for _ in range(count)]
        changed = [np.where(rng.random(len(own)) < 0.2, rng.choice(words), own) for own in texts]
        answers = [own[: len(own) - rng.integers(0, 2)] for own in changed]
        targets = encoded(map(" ".join, texts))
        return cls(encoded(map(" ".join, answers)), targets, targets)

    @classmethod
    def _boxes(cls, rng: np.random.Generator, count: int) -> Answers:
        """Two objects a picture, from small to large, of two classes, and boxes near and far."""
        targets = np.full((count, 4, 5), -1.0)
        targets[:, 0] = [640, 480, 2, 0, 0]
        right = np.zeros((count, 8, 6))
        for truth, boxes in zip(targets, right, strict=True):
            for place in range(2):
                side = np.exp(rng.uniform(np.log(10), np.log(300))) / 640
                low = np.array([0.35, 0.3]) * rng.uniform(0, 1, 2) + [0.0, 0.35 * place]
                truth[1 + place] = [*low, *(low + side), rng.integers(2)]
                boxes[place] = [*truth[1 + place, :4], rng.uniform(0.2, 1), truth[1 + place, 4]]
        noisy = right.copy()
        noisy[:, :2, :4] *= rng.uniform(0.9, 1.1, (count, 2, 1))
        noisy[:, 2] = [0.1, 0.1, 0.4, 0.3, 0, 0]
        noisy[:, 2, 4] = rng.uniform(0.05, 0.6, count)
        return cls(noisy, targets, right)


@dataclass(frozen=True)
class Sample:
    """A metric, and answers of each kind of target that it judges."""

    metric: Metric
    answers: Sequence[Answers]


def subject(metric: Metric, example: Any) -> Sample:
    """What the checks take. Raises ContractError for kinds of target that need an example."""
    if example is not None:
        return Sample(metric, [Answers(*map(np.asarray, example))])
    demand(metric.kinds, "judges no kind of target. Set kinds.")
    return Sample(metric, [Answers.random(kind) for kind in metric.kinds])


def says_what_it_judges(sample: Sample) -> None:
    """It has a name, kinds of target, and bounds that hold what stands for no value."""
    metric = sample.metric
    demand(metric.name, "has no name. Set name as it is to be shown.")
    low, high = metric.bounds
    demand(
        low <= metric.undefined <= high,
        f"has {metric.undefined} for undefined, outside of its bounds {metric.bounds}. "
        "Set what chance is worth.",
    )


def its_value_lies_within_its_bounds(sample: Sample) -> None:
    """And right answers are worth the best of them."""
    metric = sample.metric
    low, high = metric.bounds
    for each in sample.answers:
        value, right = (metric.of(p, each.targets) for p in (each.predictions, each.right))
        demand(low <= value <= high, f"is {value}, outside of {metric.bounds}. Widen them.")
        best = low if metric.less_is_better else high
        demand(
            np.isclose(right, best, atol=1e-6),
            f"is {right:.6g} for right answers, and {best} at best by its bounds. "
            "Set less_is_better and bounds.",
        )


def a_resample_is_worth_what_its_items_are(sample: Sample) -> None:
    """Weights say how often an item is held."""
    metric = sample.metric
    for each in sample.answers:
        count = len(each.targets)
        rows = np.random.default_rng(1).integers(0, count, (4, count))
        weights = np.stack([np.bincount(row, minlength=count) for row in rows])
        values = metric.resamples(each.predictions, each.targets, weights)
        expected = [metric.of(each.predictions[row], each.targets[row]) for row in rows]
        demand(
            np.allclose(values, expected, rtol=1e-6, atol=1e-6),
            f"is {values[0]:.6g} for a resample whose items are worth {expected[0]:.6g}. "
            "Let value count an item as often as its weight says.",
        )


def scores_mean_the_value_whatever_the_order(sample: Sample) -> None:
    """One number an item, more is better, and their mean is the value."""
    metric = sample.metric
    sign = -1 if metric.less_is_better else 1
    for each in sample.answers:
        scores = metric.scores(each.predictions, each.targets)
        demand_shape("scores", scores, (len(each.targets),))
        demand(np.isfinite(scores).all(), "has scores that are not finite. Bound them.")
        value = metric.of(each.predictions, each.targets)
        demand(
            np.isclose(sign * scores.mean(), value, atol=1e-6),
            f"has scores with the mean {scores.mean():.6g} and the value {value:.6g}. "
            "Give value a slope in the weights, and leave it as it is where all are scaled.",
        )
        turned = np.random.default_rng(2).permutation(len(scores))
        again = metric.scores(each.predictions[turned], each.targets[turned])
        demand(
            np.allclose(again, scores[turned], atol=1e-6),
            "scores items by where they stand. Let statistics look at each item alone.",
        )


def no_items_have_no_scores(sample: Sample) -> None:
    """Folds may hold none."""
    for each in sample.answers:
        none = sample.metric.scores(each.predictions[:0], each.targets[:0])
        demand_shape("scores of no items", none, (0,))


CHECKS: Final = checks_in(__name__)
