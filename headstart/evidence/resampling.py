"""Intervals of metrics that are no mean over items: from resamples of the items themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from math import inf, sqrt

import numpy as np

from headstart.contracts.metric import NUMBERS, Metric
from headstart.evidence.intervals import (
    LEVEL,
    RESAMPLES,
    Interval,
    normal,
    of_few,
    of_squares,
    room,
    widened,
    wilson,
)
from headstart.evidence.of_classes import average_of_classes, paired_of_classes

_LEAST = 200  # resamples where statistics are many
_NUMBERS = 50_000_000  # of all statistics in all resamples, beyond which these are fewer
_HELD = 20_000_000  # of them at a time
_SAME = 1e-12  # resamples that differ by less are equal
_NONE = 1e-99  # an error below it is none: a root is kept this far from 0, where it has no slope


@dataclass(frozen=True, eq=False)
class Draws:
    """How items are drawn anew, by a seed.

    `clusters` (N,) says which of them belong together and are drawn as one; `spread` is what the
    variance is multiplied by, where folds judge.
    """

    seed: int = 0
    clusters: np.ndarray | None = None
    spread: float = 1.0

    def at(self, places: np.ndarray) -> Draws:
        """The same for some of the items."""
        own = None if self.clusters is None else self.clusters[places]
        return replace(self, clusters=own)

    def families(self, count: int) -> int:
        """How many of so many items are drawn as one; a single cluster tells nothing of others."""
        several = 0 if self.clusters is None else len(np.unique(self.clusters))
        return several if several > 1 else count

    def weights(self, count: int, total: int = RESAMPLES, block: int = 100) -> Iterator[np.ndarray]:
        """How often each of so many items is drawn in `total` resamples: (block, count) at a time.

        Those of a single cluster are drawn as if each stood alone.
        """
        own, families = np.arange(count), self.families(count)
        if self.clusters is not None and families < count:
            own = np.unique(self.clusters, return_inverse=True)[1]
        for times in resample_counts(families, self.seed, total, block):
            yield times[:, own]


PLAIN = Draws()


@dataclass(frozen=True, eq=False)
class Resampling:
    """The same resamples of items for every arm, so that differences are paired (Efron 1979).

    `to_predictions` makes outputs (N, labels) the predictions that the metric judges, as
    `Task.predictions` does; `targets` are those of the judged items.
    """

    metric: Metric
    targets: np.ndarray
    to_predictions: Callable[[np.ndarray], np.ndarray] = np.asarray
    draws: Draws = PLAIN
    _known: dict[int, tuple[np.ndarray, float, np.ndarray, float]] = field(default_factory=dict)

    @property
    def signature(self) -> str:
        """How exactly the metric counts these targets; empty where there is one way."""
        return self.metric.signature(self.targets)

    def interval(self, outputs: np.ndarray) -> Interval:
        """The metric of these outputs with its 95 % interval, as the metric is shown."""
        if self.metric.of_right:
            return average_of_classes(self._right(outputs), *self._drawn)
        value, resampled, count = self._values(outputs)
        whole, (low, high) = self._between(value, resampled, count), self.metric.bounds
        near = self._skewed(value, float(resampled.std()) * sqrt(self.draws.spread), count)
        least, most = min(whole.low, near.low), max(whole.high, near.high)
        return Interval(value, max(low, least), min(high, most))

    def _skewed(self, value: float, error: float, count: float) -> Interval:
        """The interval of a value with this standard error as chance bends it near an end.

        On a scale with two ends that of Wilson, at as many answers as would vary so much (Newcombe
        2006, for AUROC); of a root of squares that by chi-square; else none.
        """
        low, high = self.metric.bounds
        if self.metric.of_squares and value > _NONE:
            return of_squares(value, error, count / self.draws.spread)
        if not (low < value < high < inf and error > _SAME * (high - low)):
            return Interval(value, value, value)
        scale, share = high - low, (value - low) / (high - low)
        near = wilson(share, share * (1 - share) * (scale / (error * of_few(count))) ** 2)
        return Interval(value, low + scale * near.low, low + scale * near.high)

    def gain(
        self, outputs: np.ndarray, other: np.ndarray, of: Resampling | None = None
    ) -> Interval:
        """How much better these outputs are than others for the same items: more is better.

        The others may be `of` another model with labels in an order of its own.
        """
        if self.metric.of_right:
            return paired_of_classes(
                self._right(outputs) - (of or self)._right(other), *self._drawn
            )
        one, first, count = self._values(outputs)
        two, second, fewer = (of or self)._values(other)
        sign = -1 if self.metric.less_is_better else 1
        return self._between(sign * (one - two), sign * (first - second), min(count, fewer))

    @property
    def _drawn(self) -> tuple[np.ndarray, np.ndarray | None, float]:
        return self.targets, self.draws.clusters, self.draws.spread

    def _right(self, outputs: np.ndarray) -> np.ndarray:
        predictions = self.to_predictions(outputs)
        return np.asarray(self.metric.statistics(predictions, self.targets)[:, 1], np.float64)

    def _between(self, value: float, resampled: np.ndarray, count: float) -> Interval:
        """Where 95 % of the resamples lie, moved out as few items say less (Hesterberg 2015).

        It is no nearer than their spread says. Where none differs, room is left as the rule of
        three says.
        """
        low, high = np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        times = sqrt(self.draws.spread)
        if np.ptp(resampled) < _SAME:
            low, high = self.metric.bounds
            by = room(
                value, count, high - low if abs(value) > _NONE else scale(self.metric, self.targets)
            )
            low, high = value - by, value + by
        else:
            times *= of_few(count)
            by = normal() * float(resampled.std())
            low, high = min(low, value - by), max(high, value + by)
        interval = Interval(value, min(value, float(low)), max(value, float(high)))
        return widened(interval, times)

    def _values(self, outputs: np.ndarray) -> tuple[float, np.ndarray, float]:
        """The metric, that of each resample, and of how many items; once for each array."""
        key = id(outputs)
        if key not in self._known or self._known[key][0] is not outputs:
            predictions = self.to_predictions(outputs)
            value = self.metric.of(predictions, self.targets)
            statistics = self.metric.statistics(predictions, self.targets)
            size = min(outputs.size, statistics.size)
            resampled = np.concatenate(
                [self.metric.values(statistics, weights) for weights in self._weights(size)]
            )
            resampled = np.where(np.isnan(resampled), value, resampled)
            self._known[key] = outputs, value, resampled, self._count(predictions)
        return self._known[key][1:]

    def _count(self, predictions: np.ndarray) -> float:
        """How many independent items say how the metric varies.

        Where it is a mean over classes the smallest say the most of it: as many as the variance of
        their means has degrees of freedom (Satterthwaite 1946), were all items alike.
        """
        members = self.metric.members(predictions, self.targets)
        if members is None:
            return float(self.draws.families(len(self.targets)))
        own = np.arange(len(members)) if self.draws.clusters is None else self.draws.clusters
        sizes = np.array([max(1, len(np.unique(own[each]))) for each in members.T if each.any()])
        return float((1 / sizes).sum() ** 2 / (1.0 / sizes**3.0).sum())

    def _weights(self, size: int) -> Iterator[np.ndarray]:
        """How often each item is drawn, (R, N), some resamples at a time; fewer of large sizes."""
        total, block = max(_LEAST, min(RESAMPLES, _NUMBERS // size)), min(100, _HELD // size)
        return self.draws.weights(len(self.targets), total, max(1, block))


def scale(metric: Metric, targets: np.ndarray) -> float:
    """How long a metric's scale is; without an end the range of these numbers, and else 1."""
    low, high = metric.bounds
    if high - low < inf:
        return high - low
    return (float(np.ptp(targets, axis=0).mean()) or 1.0) if NUMBERS in metric.kinds else 1.0


def resample_counts(
    count: int, seed: int, total: int = RESAMPLES, block: int = 100
) -> Iterator[np.ndarray]:
    """How often each of `count` items is drawn in `total` resamples: (block, count) at a time."""
    rng = np.random.default_rng(seed % 2**32)
    starts = np.arange(block)[:, None] * count
    for _ in range(total // block):
        places = (rng.integers(0, count, (block, count)) + starts).ravel()
        times = np.bincount(places, minlength=block * count)
        yield times.reshape(block, count).astype(np.float64)
