"""Scores that rank no backbone here, of how far classes lie apart: H-score, SFDA, GBC.

For `classes` alone; higher is better.
"""

from __future__ import annotations

import numpy as np

from headstart.contracts import Array
from headstart.transferability.sample import Sample

_COMPONENTS = 64  # principal components that GBC looks at
_LEAST = 1e-6  # of the mean variance: the least that a class is taken to have


def h_score(sample: Sample) -> float:
    """The variance of class means, measured in units of the features' shrunk covariance.

    tr(((1 - a) S + a m I)^-1 (1 - a) B), with S the covariance of the features, m its mean variance
    a dimension, B the covariance of the class means, and the shrinkage a of Ledoit and Wolf (2004).
    Without shrinkage it is the number of classes less one for any features once D reaches N.

    Reference: Bao et al. 2019; Ibrahim, Ponomareva and Mazumder 2021 for the shrinkage. Cost:
    O(N R C) once the axes are known, in which S is diagonal. Known failure: nothing is held out, so
    dimensions still count for themselves: with 100 items, noise of 2,048 dimensions outranks
    a faintly informative source of 512. Features that are all the same score 0.
    """
    _, lengths = sample.axes
    variances = lengths**2 / len(sample)
    shares, means = _means(_coordinates(sample), _members(sample))
    shrinkage, mean = _ledoit_wolf(sample)
    between = shares @ means**2
    shrunk = (1 - shrinkage) * variances + shrinkage * mean
    return float(((1 - shrinkage) * between / shrunk).sum())


def sfda(sample: Sample) -> float:
    """The mean probability of an item's own class under discriminant analysis that was made harder.

    Linear discriminant analysis on a within-class covariance W that is shrunk towards its mean
    variance by exp(-5 times its greatest eigenvalue); then each item is moved towards the mean of
    the other classes' means by as much as its own class was improbable, with the probabilities
    evened out by a second softmax; then the analysis again, on the moved items, with the same
    shrinkage. Features are scaled to a total variance of 1, so that
    the shrinkage, and with it the score, depends on no unit.

    Reference: Shao et al. 2022, whose code this follows in leaving out the logarithm. Cost:
    O(R² (N + R)), whatever the number of classes. Known failure: nothing is held out, so with more
    dimensions than items every network scores about 1, noise too. Features that are all the same
    score the squared shares of the classes, summed.
    """
    members = _members(sample)
    items = _coordinates(sample)
    width = sample.features.shape[1]
    _, means = _means(items, members)
    spread = _within(items, members)
    shrinkage = float(np.exp(-5 * np.linalg.eigvalsh(spread).max(initial=0.0)))
    first = _softmax(_discriminant(items, members, shrinkage, width))
    own = (first * members).sum(axis=1, keepdims=True)
    others = (means.sum(axis=0) - means) / (len(means) - 1)
    moved = own * items + (1 - own) * (members @ others)
    second = _discriminant(moved, members, shrinkage, width)
    return float((second * members).sum(axis=1).mean())


def gbc(sample: Sample) -> float:
    """Minus the overlap of the classes, each a round Gaussian, summed over ordered pairs of them.

    The overlap of two classes is exp(-d), with the Bhattacharyya distance
    d = |m1 - m2|² / (8 v) + k/2 log(v / sqrt(v1 v2)), v = (v1 + v2) / 2, between Gaussians of means
    m1 and m2 and variances v1 and v2 in all of the first k = 64 principal components. A class's
    variance is drawn to that within all classes as if by one more item, so that one of a single
    item has a variance too.

    Reference: Pándy et al. 2022, in its spherical form. Cost: O(N k + C² k) once the axes are
    known. Known failure: it grows with the square of the number of classes, ignores correlated
    dimensions, and saturates at 0 where classes lie far apart. Features that are all the same score
    -C (C - 1), the least there is.
    """
    items = _coordinates(sample)[:, :_COMPONENTS]
    members = _members(sample)
    width = max(items.shape[1], 1)
    counts = members.sum(axis=0)
    _, means = _means(items, members)
    squares = ((items - members @ means) ** 2).sum(axis=1)
    pooled = squares.mean() / width
    variances = ((squares @ members) / width + pooled) / (counts + 1)
    variances = np.maximum(variances, _LEAST / width)
    both = (variances[:, None] + variances) / 2
    apart = (means**2).sum(axis=1)
    apart = np.maximum(apart[:, None] + apart - 2 * means @ means.T, 0)
    uneven = np.log(both) - (np.log(variances)[:, None] + np.log(variances)) / 2
    overlaps = np.exp(-apart / (8 * both) - width / 2 * uneven)
    return float(np.trace(overlaps) - overlaps.sum())


def _coordinates(sample: Sample) -> Array:
    """The centred features along their principal axes, (N, R): the same items, turned."""
    left, lengths = sample.axes
    return np.asarray(left * lengths)


def _members(sample: Sample) -> Array:
    """Which item is of which class, (N, C) of 0 and 1, for the classes that occur."""
    return sample.codes[:, sample.varying]


def _means(items: Array, members: Array) -> tuple[Array, Array]:
    """Each class's share of the items (C,) and its mean (C, R)."""
    counts = members.sum(axis=0)
    return counts / len(items), (members.T @ items) / counts[:, None]


def _ledoit_wolf(sample: Sample) -> tuple[float, float]:
    """The shrinkage of the features' covariance, and the variance that it is shrunk towards."""
    _, lengths = sample.axes
    count, width = sample.features.shape
    squared = float((lengths**4).sum()) / count**2
    mean = float((lengths**2).sum()) / (count * width)
    fourth = float(((_coordinates(sample) ** 2).sum(axis=1) ** 2).sum()) / count
    distance = squared - width * mean**2
    error = (fourth - squared) / count
    if distance <= 0:  # every direction varies alike, as a single one does
        return float(mean == 0), mean or 1.0
    return min(max(error, 0.0) / distance, 1.0), mean


def _within(items: Array, members: Array) -> Array:
    """The covariance of items around their classes' means, (R, R)."""
    _, means = _means(items, members)
    rest = items - members @ means
    return np.asarray(rest.T @ rest / len(items))


def _discriminant(items: Array, members: Array, shrinkage: float, width: int) -> Array:
    """The probability of each class for each item, (N, C), under shrunk discriminant analysis."""
    shares, means = _means(items, members)
    spread = _within(items, members)
    towards = max(shrinkage * float(np.trace(spread)), _LEAST) / width
    spread = (1 - shrinkage) * spread
    spread.flat[:: len(spread) + 1] += towards
    weights = np.linalg.solve(spread, means.T)
    offsets = np.log(shares) - (means.T * weights).sum(axis=0) / 2
    return _softmax(items @ weights + offsets)


def _softmax(values: Array) -> Array:
    shares = np.exp(values - values.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))
