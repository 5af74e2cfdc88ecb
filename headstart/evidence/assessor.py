"""What a model's outputs are worth, and how much more than another's: one way for all that ask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import inf
from typing import TYPE_CHECKING, Any, final

import numpy as np

from headstart.contracts import Task
from headstart.contracts.metric import Metric
from headstart.data import Item
from headstart.evidence.intervals import LONE, Interval, average, paired, room
from headstart.evidence.resampling import PLAIN, Draws, Resampling, scale

if TYPE_CHECKING:
    from headstart.evidence.experiment import Experiment


@final
@dataclass(frozen=True, eq=False)
class Assessor:
    """Judges outputs (N, labels) for items with these targets, as the task does.

    Where the metric is no mean over items the intervals are those of `Resampling`, else those of
    scores. `by` is the task that judges, where that is another than the one that answers.
    """

    task: Task
    targets: np.ndarray
    draws: Draws = PLAIN
    by: Task | None = None

    @classmethod
    def of(cls, experiment: Experiment, split: str = "test", spread: float = 1.0) -> Assessor:
        """That of an experiment's task and items."""
        dataset = experiment.dataset
        draws = Draws(experiment.settings.seed, families(dataset.split(split)), spread)
        return cls(experiment.task, dataset.targets(split), draws)

    def at(self, places: np.ndarray) -> Assessor:
        """The same for some of the items."""
        if np.array_equal(places, np.arange(len(self.targets))):
            return self
        return replace(self, targets=self.targets[places], draws=self.draws.at(places))

    @cached_property
    def resampled(self) -> Resampling | None:
        """What judges without scores of items; None where their mean is what counts."""
        if self._metric is None or not self._metric.resampled or not len(self.targets):
            return None
        return Resampling(self._metric, self.targets, self.task.predictions, self.draws)

    @property
    def signature(self) -> str:
        """How exactly the metric counts these targets; empty where there is one way."""
        return self.resampled.signature if self.resampled else ""

    def interval(self, outputs: np.ndarray) -> Interval:
        """What outputs are worth, as it is shown."""
        if self.resampled is not None:
            return self.resampled.interval(outputs)
        if self._metric is None:
            sign = (self.by or self.task).sign
            return average(self._scores(outputs), **self._drawn).times(sign)
        predictions = self.task.predictions(outputs)
        return metric_interval(self._metric, predictions, self.targets, self.draws)

    def gain(self, outputs: np.ndarray, other: np.ndarray, of: Assessor | None = None) -> Interval:
        """How much better outputs are than others, which may be `of` another model: more is better.

        The other model's labels may be in an order of their own.
        """
        other_one = of or self
        if self.resampled is not None:
            return self.resampled.gain(outputs, other, other_one.resampled)
        return paired(self._scores(outputs), other_one._scores(other), **self._drawn)

    def allowed(self, interval: Interval) -> Interval:
        """An interval of a mean inside the metric's bounds; no loss seen is not none to come."""
        if self._metric is None:
            return interval
        return allowed(self._metric, interval, self.targets, self.draws)

    @property
    def _metric(self) -> Metric | None:
        return (self.by or self.task).judged_by()

    @property
    def _drawn(self) -> dict[str, Any]:
        return vars(self.draws)

    def _scores(self, outputs: np.ndarray) -> np.ndarray:
        if self._metric is None:
            return (self.by or self.task).scores(outputs, self.targets)
        return self._metric.scores(self.task.predictions(outputs), self.targets)


def allowed(metric: Metric, interval: Interval, targets: np.ndarray, draws: Draws) -> Interval:
    """An interval of a mean over items with these targets, inside the metric's bounds.

    Where no loss was seen, as much is left as the rule of three says; a lone number explains
    nothing of a variance.
    """
    count = len(targets if draws.clusters is None else np.unique(draws.clusters))
    low, high = metric.bounds
    ends = interval.low, interval.high
    if metric.less_is_better and interval.value == interval.high == low:
        ends = low, room(0.0, count, scale(metric, targets))
    if low == -inf and count == 1:
        ends = interval.value - LONE, high
    return Interval(interval.value, max(low, ends[0]), min(high, ends[1]))


def metric_interval(
    metric: Metric, predictions: np.ndarray, targets: np.ndarray, draws: Draws = PLAIN
) -> Interval:
    """What a metric says of predictions, with its interval, as it is shown."""
    if metric.resampled:
        return Resampling(metric, targets, draws=draws).interval(predictions)
    scores, sign = metric.scores(predictions, targets), -1 if metric.less_is_better else 1
    return allowed(metric, average(scores, **vars(draws)).times(sign), targets, draws)


def families(items: Sequence[Item]) -> np.ndarray | None:
    """Which items belong together, (N,); None where each stands alone."""
    own = [item.cluster for item in items]
    places = np.unique(own, return_inverse=True)[1]
    return places if len(np.unique(places)) < len(own) else None
