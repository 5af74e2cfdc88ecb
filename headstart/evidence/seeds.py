"""Intervals over trainings as well as items: for other seeds, and for other draws of labels."""

from __future__ import annotations

from math import sqrt

import numpy as np

from headstart.evidence.intervals import LEVEL, Interval, average, paired, together, widened


def seeds(better: np.ndarray, other: np.ndarray, seed: int = 0) -> Interval:
    """The difference of two arms' mean scores, for other seeds and other items than these.

    `better` and `other` are (S, N): one row a seed, one column an item, the same items in all rows.
    With one seed it is `paired`, which speaks of the two trained networks alone: how far another
    seed would move them can't be seen in one training.

    Items and seeds are crossed, as cases and readers are in diagnostic studies, and both are taken
    as drawn. The variance of the mean is that of a two-way analysis of variance without replication
    (Obuchowski and Rockette 1995), the degrees of freedom are those of Hillis 2007, at most N - 1;
    where t of the seeds' means alone gives more, as chance makes it at times, that is taken.
    Resampling seeds and items together (Owen 2007, the pigeonhole bootstrap) has no small-sample
    correction, and with three to five seeds covers too little where seeds differ much and too much
    where they do not (`benchmarks.coverage` counts both).
    """
    interval = _over_rows(better - other, lowest=-1.0)
    return interval or paired(better.mean(axis=0), other.mean(axis=0), seed)


def draws(scores: np.ndarray, seed: int = 0, clusters: np.ndarray | None = None) -> Interval:
    """The mean score of one arm, for other draws of its labels and other items than these.

    `scores` are (S, N), one row a draw. The method is that of `seeds`. Draws from one set of labels
    overlap, the more the larger they are, so what other labels would do is seen in part.
    """
    means = scores.mean(axis=0)
    whole = _over_rows(scores, lowest=0.0)
    if whole is None:
        return average(means, seed, clusters=clusters)
    if clusters is None:
        return whole
    return widened(whole, sqrt(together(means - means.mean(), clusters)))


def _over_rows(scores: np.ndarray, lowest: float) -> Interval | None:
    """The interval of the mean of rows (S, N); None where rows are equal and items are all."""
    from scipy.special import stdtrit

    rows, count = scores.shape
    if count == 1 or (scores == scores[0]).all():
        return None
    by_row, by_item = scores.mean(axis=1), scores.mean(axis=0)
    rest = scores - by_row[:, None] - by_item + scores.mean()
    row_square = count * float(by_row.var(ddof=1))
    item_square = rows * float(by_item.var(ddof=1))
    rest_square = float((rest**2).sum()) / ((rows - 1) * (count - 1))
    spread = row_square + max(item_square - rest_square, 0.0)
    if spread <= 0.0:
        return None
    doubt = (row_square / spread) ** 2 / (rows - 1) + 1 / (count - 1)
    whole, seeds_alone = (
        float(stdtrit(freedom, (1 + LEVEL) / 2)) * sqrt(square / scores.size)
        for freedom, square in ((1 / doubt, spread), (rows - 1, row_square))
    )
    half = max(whole, seeds_alone)
    floor, ceiling = min(lowest, float(scores.min())), max(1.0, float(scores.max()))
    value = float(scores.mean())
    return Interval(value, max(floor, value - half), min(ceiling, value + half))
