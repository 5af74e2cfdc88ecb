"""Intervals of means over classes of the share of their items that is right."""

from __future__ import annotations

from math import sqrt

import numpy as np

from headstart.evidence.intervals import SIGNS, Interval, normal, proportions, together

_PRIOR = 2.0  # items that each class is taken to have besides, as right as all are
_FAR, _HALVINGS = 1e4, 40  # of a search: a slope in items, and how often it is halved


def average_of_classes(
    right: np.ndarray, strata: np.ndarray, clusters: np.ndarray | None = None, spread: float = 1.0
) -> Interval:
    """The mean over classes of the share of their items (N,) that is right, for other items.

    That of the score test: each bound is a mean from which what was seen is 1.96 errors away, where
    classes have the likeliest shares with such a mean (Miettinen and Nurminen 1985). Of one class
    it is Wilson's. `strata` (N,) are the classes; for the rest see `intervals.average`.
    """
    own, sizes, (shares,), (near,) = _by_class(right[None], strata)
    value, ends = float(shares.mean()), []
    spread *= 1.0 if clusters is None else together((right - near[own]) / sizes[own], clusters)
    whole = sizes + _PRIOR
    for sign in (1.0, -1.0):
        inner, outer = -_FAR * whole.max(), _FAR * whole.max()
        for _ in range(_HALVINGS):
            slope = (inner + outer) / 2
            pull = sign * slope
            root = np.sqrt(np.maximum((pull + whole) ** 2 - 4 * pull * near * whole, 0.0))
            likely = np.clip(2 * near * whole / (pull + whole + root), 0.0, 1.0)
            variance = spread * float((likely * (1 - likely) / sizes).sum()) / len(sizes) ** 2
            too_far = sign * (value - float(likely.mean())) > normal() * sqrt(variance)
            inner, outer = (inner, slope) if too_far else (slope, outer)
        ends.append(float(likely.mean()))
    return Interval(value, min(value, ends[0]), max(value, ends[1]))


def paired_of_classes(
    differences: np.ndarray,
    strata: np.ndarray,
    clusters: np.ndarray | None = None,
    spread: float = 1.0,
) -> Interval:
    """The mean over classes of items' differences (N,), which are -1, 0 or 1, for other items.

    That of Bonett and Price (2012), as of so many items of one class as would vary as much.
    """
    signs = np.array(SIGNS)
    own, sizes, shares, near = _by_class(differences == signs[:, None], strata)

    def variance(each: np.ndarray) -> np.ndarray:
        return np.asarray(each.sum(axis=0) - (signs @ each) ** 2)

    total = float((variance(near) / sizes).sum()) / len(sizes) ** 2
    count = float(variance(near.mean(axis=1))) / total
    if clusters is not None:
        count /= together((differences - (signs @ near)[own]) / sizes[own], clusters)
    return proportions(shares.mean(axis=1), count / spread)


def _by_class(hits: np.ndarray, strata: np.ndarray) -> tuple[np.ndarray, ...]:
    """Each item's class (N,), the classes' sizes, and shares of hits (S, N), as seen and likely.

    What few items of a class say is joined with what all say: a lone one is no certainty.
    """
    own = np.unique(strata, return_inverse=True)[1]
    sizes = np.bincount(own)
    shares = np.stack([np.bincount(own, each) / sizes for each in hits])
    alike = len(sizes) ** 2 / (1 / sizes).sum()
    level = (shares.mean(axis=1, keepdims=True) * alike + 1.0) / (alike + 2.0)
    return own, sizes, shares, (shares * sizes + _PRIOR * level) / (sizes + _PRIOR)
