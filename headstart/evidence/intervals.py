"""Intervals over items that were held out, and the verdict they allow."""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot, inf, sqrt

import numpy as np

RESAMPLES = 2000
LEVEL = 0.95
_SAME = 1e-12  # of what independent items would vary by, below which nothing varies


@dataclass(frozen=True)
class Interval:
    """An estimate with the bounds of its 95 % interval."""

    value: float
    low: float
    high: float

    def to_json(self) -> dict[str, float]:
        """The three numbers, rounded to five places."""
        return {
            "value": round(self.value, 5),
            "low": round(self.low, 5),
            "high": round(self.high, 5),
        }

    def moved(self, value: float) -> Interval:
        """An interval as wide around another value."""
        by = value - self.value
        return Interval(value, self.low + by, self.high + by)

    def times(self, sign: int) -> Interval:
        """The same, or that of the negative: a loss, as it is shown, which is not below 0."""
        if sign > 0:
            return self
        return Interval(-self.value, max(-self.high, min(0.0, -self.value)), -self.low)


def bootstrap(scores: np.ndarray, seed: int = 0, lowest: float = 0.0) -> Interval:
    """Percentile bootstrap of the mean over items (Efron 1979), 2,000 resamples.

    Where all scores are equal, resampling sees no spread at all; the interval is then widened by
    3/N inside the scale, `lowest` to 1 (the rule of three, Hanley and Lippman-Hand 1983). No mean
    of scores, of which the lowest is 0, is above 1.
    """
    rng = np.random.default_rng(seed % 2**32)
    count = len(scores)
    value = float(scores.mean())
    if scores.min() == scores.max():
        room = min(1.0, 3.0 / count)
        return Interval(
            value, min(value, max(value - room, lowest)), max(value, min(value + room, 1.0))
        )
    means = np.concatenate(
        [scores[rng.integers(0, count, (100, count))].mean(axis=1) for _ in range(RESAMPLES // 100)]
    )
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    if lowest == 0.0:
        high = min(high, max(value, 1.0))
    return Interval(value, float(low), float(high))


def average(
    scores: np.ndarray,
    seed: int = 0,
    *,
    clusters: np.ndarray | None = None,
    spread: float = 1.0,
) -> Interval:
    """The mean score (N,) of one model, for other items than these.

    Scores from 0 to 1 have the interval of Wilson (1927), at as many independent right or wrong
    answers as would vary as much (Korn and Graubard 1998, for samples in clusters): it keeps inside
    the scale and its word for few items and means near 1, where resampling does not. `clusters`
    (N,) says which items are copies of one another or otherwise belong together; `spread` is what
    the variance is multiplied by, where the mean is one over folds. Other scores are resampled, and
    the interval is widened by what either of the two adds.
    """
    if scores.min() < 0.0 or scores.max() > 1.0:
        resampled = bootstrap(scores, seed, lowest=min(0.0, float(scores.min())))
        wide = _apart(resampled, scores, clusters, spread)
        low, high = (0.0, 1.0) if 0.0 <= wide.value <= 1.0 else (-inf, inf)
        return Interval(wide.value, max(low, wide.low), min(high, wide.high))
    value = float(scores.mean())
    count = _effective(scores, clusters) / spread
    square = _normal() ** 2 / count
    middle = (value + square / 2) / (1 + square)
    half = sqrt(square * value * (1 - value) + square**2 / 4) / (1 + square)
    return Interval(value, max(0.0, min(value, middle - half)), min(1.0, max(value, middle + half)))


def paired(
    better: np.ndarray,
    other: np.ndarray,
    seed: int = 0,
    *,
    clusters: np.ndarray | None = None,
    spread: float = 1.0,
) -> Interval:
    """The difference of two arms' mean scores over the same items, for other items than these.

    Where scores are 0 or 1 an item speaks for the one arm, for the other, or for none, and the
    interval is that of Bonett and Price (2012) for paired proportions. The percentile bootstrap
    covers too little there when few items tell the arms apart (`benchmarks.coverage`); for other
    scores it is what is left. The arms are not resampled. `clusters` and `spread` are those of
    `average`.
    """
    differences = better - other
    if not np.isin(differences, (-1.0, 0.0, 1.0)).all():
        resampled = bootstrap(differences, seed, lowest=-1.0)
        return _apart(resampled, differences, clusters, spread)
    count = _effective(differences, clusters) / spread
    return _proportions(differences, count)


def gained(gain: Interval, metric: str, less_is_better: bool = False) -> tuple[str, str, str]:
    """A gain in words with its unit, and its bounds: points, or units where less is better."""
    if less_is_better:
        low, value, high = (f"{bound:+.3g}" for bound in (gain.low, gain.value, gain.high))
        return f"{value} of {metric} (plus is better)", low, high
    low, value, high = (f"{100 * bound:+.1f}" for bound in (gain.low, gain.value, gain.high))
    return f"{value} points of {metric}", low, high


def widened(interval: Interval, times: float = 1.0, more: float = 0.0) -> Interval:
    """An interval of a difference so many times as wide, and by another error `more` wider.

    The latter is half the width of an interval that is independent of this one.
    """
    value = interval.value
    low, high = (hypot(times * abs(bound - value), more) for bound in (interval.low, interval.high))
    return Interval(value, value - low, value + high)


def _proportions(differences: np.ndarray, count: float) -> Interval:
    """The interval of the mean of differences that are -1, 0 or 1, as of `count` items."""
    shares = [float((differences == sign).mean()) for sign in (1.0, -1.0)]
    up, down = ((share * count + 1.0) / (count + 2.0) for share in shares)
    middle = up - down
    half = _normal() * sqrt((up + down - middle**2) / (count + 2.0))
    value = float(differences.mean())
    return Interval(value, max(-1.0, middle - half), min(1.0, middle + half))


def _apart(
    resampled: Interval, scores: np.ndarray, clusters: np.ndarray | None, spread: float
) -> Interval:
    """An interval from resampled items, as much wider as these hang together."""
    together = 1.0 if clusters is None else len(scores) / _effective(scores, clusters)
    times = sqrt(max(1.0, together * spread))
    return resampled if times == 1.0 else widened(resampled, times)


def _effective(scores: np.ndarray, clusters: np.ndarray | None) -> float:
    """As many independent items as the mean of the scores (N,) has the spread of."""
    count = len(scores)
    own = np.arange(count)
    if clusters is not None:
        own = np.unique(clusters, return_inverse=True)[1]
    families = int(own.max()) + 1
    if families == count and np.isin(scores, (-1.0, 0.0, 1.0)).all():
        return float(count)
    rest = np.bincount(own, scores - scores.mean())
    total = float((rest**2).sum()) * families / max(1, families - 1)
    whole = float(((scores - scores.mean()) ** 2).sum()) * count
    if scores.min() >= 0.0:
        whole = count**2 * float(scores.mean()) * (1 - float(scores.mean()))
    return whole / total if total > _SAME * whole > 0 else float(families)


def _normal() -> float:
    """What holds 95 % of the normal distribution."""
    from scipy.special import ndtri

    return float(ndtri((1 + LEVEL) / 2))


def verdict(gain: Interval | None) -> str:
    """`helps`, `hurts`, `no evidence`, or `unknown` without a scratch arm."""
    if gain is None:
        return "unknown"
    if gain.low > 0:
        return "helps"
    return "hurts" if gain.high < 0 else "no evidence"
