"""Intervals over items that were held out, and the verdict they allow."""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot, inf, sqrt

import numpy as np

RESAMPLES = 2000
LEVEL = 0.95
_SAME = 1e-12  # of what independent items would vary by, below which nothing varies
LONE = 9.68  # times its size that a lone normal number may be off
SIGNS = (1.0, -1.0)


@dataclass(frozen=True)
class Interval:
    """An estimate with the bounds of its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def width(self) -> float:
        """From one bound to the other."""
        return self.high - self.low

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

    Of few items percentiles lie too near: they are moved out as t and n - 1 say (Hesterberg 2015),
    and no nearer than t itself puts them. Where all scores are equal, resampling sees no spread at
    all, and `room` is left inside the scale, `lowest` to 1. No mean leaves it if no score does.
    """
    rng = np.random.default_rng(seed % 2**32)
    count = len(scores)
    value = float(scores.mean())
    if scores.min() == scores.max():
        by = room(value, count, 1.0 if abs(value) <= 1.0 else inf)
        return _inside(Interval(value, value - by, value + by), scores, lowest)
    means = np.concatenate(
        [scores[rng.integers(0, count, (100, count))].mean(axis=1) for _ in range(RESAMPLES // 100)]
    )
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    moved = widened(Interval(value, float(low), float(high)), of_few(count))
    least = normal() * of_few(count) * float(scores.std()) / sqrt(count)
    whole = Interval(value, min(moved.low, value - least), max(moved.high, value + least))
    return _inside(whole, scores, lowest)


def _inside(interval: Interval, scores: np.ndarray, lowest: float) -> Interval:
    low = lowest if scores.min() >= lowest else -inf
    high = 1.0 if scores.max() <= 1.0 else inf
    return Interval(interval.value, max(low, interval.low), min(high, interval.high))


def of_few(count: float) -> float:
    """How many times wider an interval is that so many items say the spread of: t, and n - 1."""
    return _few(count) * sqrt(1 + 1 / max(1.0, count - 1.0))


def room(value: float, count: float, whole: float) -> float:
    """How far off a value may be where nothing varies, on a scale so long as `whole`.

    3/N of it (the rule of three, Hanley and Lippman-Hand 1983); of a scale without an end so much
    of the value, and of a lone item what holds a normal mean (Wall, Boen and Tweedie 2001).
    """
    if whole < inf:
        return whole * min(1.0, 3.0 / count)
    return abs(value) * (3.0 / count if count > 1 else LONE)


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
        return _inside(_apart(bootstrap(scores, seed), scores, clusters, spread), scores, 0.0)
    return wilson(float(scores.mean()), _effective(scores, clusters) / spread)


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
        return _inside(_apart(resampled, differences, clusters, spread), differences, -1.0)
    shares = np.array([(differences == sign).mean() for sign in SIGNS])
    return proportions(shares, _effective(differences, clusters) / spread)


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


def wilson(value: float, count: float) -> Interval:
    """The interval of a share, as of `count` items."""
    square = normal() ** 2 / count
    middle = (value + square / 2) / (1 + square)
    half = sqrt(square * value * (1 - value) + square**2 / 4) / (1 + square)
    return Interval(value, max(0.0, min(value, middle - half)), min(1.0, max(value, middle + half)))


def of_squares(value: float, error: float, count: float) -> Interval:
    """The root of a mean of squared errors, by chi-square with as many degrees of freedom.

    They are those that its standard error speaks of (Satterthwaite 1946), `count` at most, which
    normal errors have.
    """
    from scipy.special import chdtri

    degrees = min(count, value**2 / (2 * error**2)) if error > 0 else count
    low, high = (
        value * sqrt(degrees / float(chdtri(degrees, (1 + side * LEVEL) / 2))) for side in (-1, 1)
    )
    return Interval(value, low, high)


def proportions(shares: np.ndarray, count: float) -> Interval:
    """The interval of the mean of differences: shares that are 1 and -1, as of `count` items."""
    up, down = (float(each * count + 1.0) / (count + 2.0) for each in shares)
    middle = up - down
    half = normal() * sqrt((up + down - middle**2) / (count + 2.0))
    value = float(shares[0] - shares[1])
    return Interval(value, max(-1.0, middle - half), min(1.0, middle + half))


def together(rests: np.ndarray, clusters: np.ndarray) -> float:
    """How many times more the sum of rests (N,) varies as these hang together, 1 at least."""
    own = np.unique(clusters, return_inverse=True)[1]
    families = int(own.max()) + 1
    if families == 1:
        return float(len(rests))
    if float(np.abs(rests).max()) <= _SAME:
        return 1.0
    total = float((np.bincount(own, rests) ** 2).sum()) * families / (families - 1)
    apart = float((rests**2).sum()) * len(rests) / max(1, len(rests) - 1)
    return max(1.0, total / apart * (_few(families) / _few(len(rests))) ** 2)


def _apart(
    resampled: Interval, scores: np.ndarray, clusters: np.ndarray | None, spread: float
) -> Interval:
    """An interval from resampled items, as much wider as these hang together."""
    times = 1.0 if clusters is None else together(scores - scores.mean(), clusters)
    return widened(resampled, sqrt(max(1.0, times * spread)))


def _effective(scores: np.ndarray, clusters: np.ndarray | None) -> float:
    """As many independent items as the mean of the scores (N,) has the spread of.

    Fewer where few families or items say what that is, by t (Korn and Graubard 1998).
    """
    count = len(scores)
    own = np.arange(count)
    if clusters is not None:
        own = np.unique(clusters, return_inverse=True)[1]
    families = int(own.max()) + 1
    plain = bool(np.isin(scores, (-1.0, 0.0, 1.0)).all())
    if families == count and plain:
        return float(count)
    rest = np.bincount(own, scores - scores.mean())
    total = float((rest**2).sum()) * families / max(1, families - 1)
    whole = float(((scores - scores.mean()) ** 2).sum()) * count
    if scores.min() >= 0.0:
        whole = count**2 * float(scores.mean()) * (1 - float(scores.mean()))
    if not total > _SAME * whole > 0:
        return float(families)
    effective = whole / total / _few(families) ** 2
    return min(float(count), effective) if plain else effective


def _few(count: float) -> float:
    """How many times as far t holds 95 % as the normal distribution, for so many items."""
    from scipy.special import stdtrit

    return float(stdtrit(max(1.0, count - 1.0), (1 + LEVEL) / 2)) / normal()


def normal() -> float:
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
