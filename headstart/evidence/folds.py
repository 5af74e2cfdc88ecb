"""Intervals where every item was once held out: what overlapping folds add to their width."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np

from headstart.evidence.intervals import LEVEL, Interval, average, paired, widened


@dataclass(frozen=True, eq=False)
class Folds:
    """Which of the folds held each item out: (R, N) numbers, one row a repeat."""

    of: np.ndarray

    @property
    def count(self) -> int:
        """Folds in a repeat."""
        return int(self.of.max()) + 1

    @property
    def repeats(self) -> int:
        """How often the items were shared out anew."""
        return len(self.of)

    def spread(self, repeats: int) -> float:
        """What the variance of a mean over independent items is multiplied by.

        Nadeau and Bengio (2003) give the mean over J overlapping splits the variance
        (1 / J + held out / learned from) of one split's; for K folds in R repeats, and items that
        vary as if they were independent, that is 1 / R + K / (K - 1) times that of all items.
        """
        return 1 / repeats + self.count / (self.count - 1)

    def average(
        self, scores: np.ndarray, seed: int = 0, clusters: np.ndarray | None = None
    ) -> Interval:
        """The mean of held-out scores (R, N), for other items and so for other trainings."""
        spread = self.spread(len(scores))
        return average(scores.mean(axis=0), seed, clusters=clusters, spread=spread)

    def gain(
        self,
        better: np.ndarray,
        other: np.ndarray,
        seed: int = 0,
        clusters: np.ndarray | None = None,
        resampled: Interval | None = None,
    ) -> Interval:
        """The difference of two arms' held-out scores (R, N), of which the common repeats count.

        Over items as `average`, or as they were `resampled`, or over folds, where trainings differ
        by more than their items say: by t of the folds' differences with the variance of Nadeau and
        Bengio (2003). The wider of the two is taken.
        """
        repeats = min(len(better), len(other))
        differences = better[:repeats] - other[:repeats]
        value = float(differences.mean())
        spread = self.spread(repeats)
        each_repeat = (
            [resampled.moved(value)]
            if resampled
            else [
                paired(a, b, seed, clusters=clusters, spread=spread)
                for a, b in zip(better, other, strict=False)
            ]
        )
        low, high = (float(np.mean([getattr(each, end) for each in each_repeat])) for end in _ENDS)
        over_items = Interval(value, low, high)
        over_folds = widened(Interval(value, value, value), more=self._half(differences))
        return max(over_items, over_folds, key=lambda each: each.high - each.low)

    def _half(self, differences: np.ndarray) -> float:
        """Half the width of the interval over folds, of differences (R, N)."""
        from scipy.special import stdtrit

        means = np.concatenate(
            [
                np.bincount(own, row) / np.bincount(own)
                for own, row in zip(self.of, differences, strict=False)
            ]
        )
        variance = (1 / len(means) + 1 / (self.count - 1)) * float(means.var(ddof=1))
        return float(stdtrit(len(means) - 1, (1 + LEVEL) / 2)) * sqrt(variance)


_ENDS = ("low", "high")
