"""Predictions of each item from the others, by neighbours and by ridge regression, and how good."""

from __future__ import annotations

import math

import numpy as np

from headstart.contracts import Array, Encoding
from headstart.transferability.sample import Sample

# Strengths of ridge regression, as shares of the features' total variance.
STRENGTHS = 10.0 ** np.arange(-6, 2.5, 0.5)
_TEMPERATURE = 0.07  # of the neighbours' weights (Wu et al. 2018)
_SAME = 1e-9  # similarities, votes and errors that differ by less are equal but for rounding
_BLOCK = 4_000_000  # similarities that are held at a time


def neighbours(sample: Sample, count: int = 20) -> Array:
    """Each item's codes as a mean over its nearest neighbours among the others, (N, K) float64.

    The `count` items of highest cosine similarity, or the square root of N where that is fewer, and
    all that are as near as the last of them; each weighs the exponential of its similarity over
    0.07 (Wu et al. 2018). Features are centred first, as those behind a ReLU all point one way. An
    item is never its own neighbour, but one with the same features is. O(N² D).
    """
    directions = _directions(sample.centred)
    count = min(count, math.isqrt(len(sample) - 1) + 1, len(sample) - 1)
    step = max(1, _BLOCK // len(sample))
    blocks = [
        _vote(directions, slice(start, start + step), sample.codes, count, sample.groups)
        for start in range(0, len(sample), step)
    ]
    return np.concatenate(blocks)


def ridge(sample: Sample) -> Array:
    """Each item's codes as predicted by ridge regression on all others, (N, K) float64.

    Exactly what fitting without the item gives, intercept included: from the residual of the one
    fit to all items, over one minus the item's leverage (Allen 1974; Golub, Heath and Wahba 1979).
    The strength is the one of least squared error of these predictions, one for all classes, else
    one for each column. O(N R K) for each strength, once the axes are known.
    """
    middle = sample.codes.mean(axis=0)
    answers = np.zeros_like(sample.codes)
    least = np.full(sample.codes.shape[1], np.inf)
    for strength in STRENGTHS[::-1]:  # of equally good ones the strongest stays
        residuals = _residuals(sample, sample.codes - middle, strength)
        errors = (residuals**2).mean(axis=0)
        if sample.encoding is Encoding.INDEX:
            errors[:] = errors.mean()
        better = errors < least * (1 - _SAME)
        least = np.where(better, errors, least)
        answers = np.where(better, sample.codes - residuals, answers)
    return answers


def k_nn(sample: Sample) -> float:
    """How well neighbours predict each item: accuracy for classes, else R² (`worth`).

    Reference: Cover and Hart 1967; Sorkhei et al. 2025, in whose comparison no other score did
    better. Cost: O(N² D). Known failure: it says little of what fine-tuning can mend, and with few
    items it takes few values, so that networks tie. Features that say nothing fall below chance
    where classes have the same size, as leaving an item out makes its class the rarer one: those
    that are all the same score 0 there.
    """
    return worth(sample, neighbours(sample))


def linear(sample: Sample) -> float:
    """How well ridge regression predicts each item: accuracy for classes, else R² (`worth`).

    Reference: Hoerl and Kennard 1970; Allen 1974 for leaving one out. Cost: that of the axes,
    O(N D min(N, D)). Known failure: fine-tuning can mend features that a linear probe finds poor,
    most of all on fine-grained classes (Kornblith, Shlens and Le 2019). Features that say nothing
    fall below chance as with `k_nn`, and for the same reason.
    """
    return worth(sample, ridge(sample))


def worth(sample: Sample, predictions: Array) -> float:
    """How good predictions of the codes are, at most 1.

    For classes the accuracy, where a tie counts for each of the tied classes alike. Else R², mean
    over the columns that vary; for label sets too, where accuracy would praise never naming a rare
    label.
    """
    if sample.encoding is Encoding.INDEX:
        best = predictions >= predictions.max(axis=1, keepdims=True) - _SAME
        own = best[np.arange(len(sample)), sample.targets]
        return float((own / best.sum(axis=1)).mean())
    codes = sample.codes[:, sample.varying]
    errors = (predictions[:, sample.varying] - codes) ** 2
    return float((1 - errors.mean(axis=0) / codes.var(axis=0)).mean())


def _directions(features: Array) -> Array:
    """The rows over their lengths; rows at the mean have no direction and stay at 0."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return np.asarray(features / np.where(lengths > _SAME, lengths, 1.0))


def _vote(directions: Array, rows: slice, codes: Array, count: int, groups: Array | None) -> Array:
    near = directions[rows] @ directions.T
    own = np.arange(len(near))
    near[own, own + rows.start] = -np.inf
    if groups is not None:
        near[groups[rows][:, None] == groups] = -np.inf
    last = np.partition(near, len(codes) - count, axis=1)[:, [len(codes) - count]]
    top = near.max(axis=1, keepdims=True)
    weights = np.exp((near - np.where(np.isfinite(top), top, 0)) / _TEMPERATURE)
    weights[near < last - _SAME] = 0
    total = weights.sum(axis=1, keepdims=True)  # 0 where all others are of the same group
    return np.asarray(weights @ codes / np.where(total > 0, total, 1))


def _residuals(sample: Sample, codes: Array, strength: float) -> Array:
    """What is left of centred codes when each item is predicted without itself."""
    left, lengths = sample.axes
    squares = lengths**2
    shrinkage = squares / (squares + strength * len(sample))
    rest = codes - left @ (shrinkage[:, None] * (left.T @ codes))
    if sample.groups is not None:
        return _of_groups(sample.groups, rest, left * shrinkage, left)
    # one minus the leverage, summed from parts that are never negative
    unseen = np.maximum(1 - 1 / len(sample) - (left**2).sum(axis=1), 0)
    return np.asarray(rest / (unseen + left**2 @ (1 - shrinkage))[:, None])


def _of_groups(groups: Array, rest: Array, weighed: Array, left: Array) -> Array:
    """What is left when each group is predicted without itself: the residual over one minus its
    own block of the hat matrix, whose intercept is that of all items.
    """
    answers = np.empty_like(rest)
    for group in np.unique(groups):
        own = np.flatnonzero(groups == group)
        hat = weighed[own] @ left[own].T + 1 / len(groups)
        matrix = np.eye(len(own)) - hat
        answers[own] = np.linalg.lstsq(matrix, rest[own], rcond=1e-9)[0]
    return answers
