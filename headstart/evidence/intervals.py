"""Intervals by resampling held-out items, and the verdict they allow."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np

RESAMPLES = 2000
LEVEL = 0.95


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


def paired(better: np.ndarray, other: np.ndarray, seed: int = 0) -> Interval:
    """The difference of two arms' mean scores over the same items, for other items than these.

    Where scores are 0 or 1 an item speaks for the one arm, for the other, or for none, and the
    interval is that of Bonett and Price (2012) for paired proportions. The percentile bootstrap
    covers too little there when few items tell the arms apart (`benchmarks.coverage`); for other
    scores it is what is left. The arms are not resampled.
    """
    differences = better - other
    if not np.isin(differences, (-1.0, 0.0, 1.0)).all():
        return bootstrap(differences, seed, lowest=-1.0)
    return _proportions(differences)


def _proportions(differences: np.ndarray) -> Interval:
    """The interval of the mean of differences that are -1, 0 or 1."""
    from scipy.special import ndtri

    count = len(differences)
    up, down = (((differences == sign).sum() + 1.0) / (count + 2.0) for sign in (1.0, -1.0))
    middle = float(up - down)
    half = float(ndtri((1 + LEVEL) / 2)) * sqrt((up + down - middle**2) / (count + 2.0))
    value = float(differences.mean())
    return Interval(value, max(-1.0, middle - half), min(1.0, middle + half))


def verdict(gain: Interval | None) -> str:
    """`helps`, `hurts`, `no evidence`, or `unknown` without a scratch arm."""
    if gain is None:
        return "unknown"
    if gain.low > 0:
        return "helps"
    return "hurts" if gain.high < 0 else "no evidence"
