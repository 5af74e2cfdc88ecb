"""Whether two samples are alike: permutation tests over both of them, each with its effect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np

ROUNDS: Final = 499
MOST: Final = 500  # items of a sample; with more everything is significant, and nothing matters
_BLOCK: Final = 250  # permutations at a time
_WIDTH: Final = 250  # items that the kernel's width is measured on
_SAME: Final = 1e-5  # share of the squared length; half precision errs by a tenth of that
_MORE: Final = 0.05  # share of items that repeat others, beyond which it is no accident


@final
@dataclass(frozen=True)
class Test:
    """An effect, in units of its own, and how often chance alone makes one as large."""

    effect: float
    p: float

    def to_json(self) -> dict[str, float]:
        """{"effect", "p"}."""
        return {"effect": round(self.effect, 5), "p": round(self.p, 5)}


def repeated(reference: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Which new items (M, D) are known ones (N, D) themselves, but for rounding: (M,) bool.

    None where known items repeat one another about as often, as short texts do.
    """
    first, second = reference.astype(np.float32), new.astype(np.float32)
    own = _nearest(first, first, itself=True) <= _SAME
    twins = _nearest(second, first) <= _SAME
    return np.asarray(twins & (twins.mean() > own.mean() + _MORE))


def _nearest(rows: np.ndarray, others: np.ndarray, itself: bool = False) -> np.ndarray:
    """The squared distance from the nearest of others, (M,), as a share of the own length."""
    lengths, far = (rows**2).sum(axis=1), distances(rows, others)
    if itself:
        np.fill_diagonal(far, np.inf)
    return np.asarray(far.min(axis=1) / np.where(lengths > 0, lengths, 1.0))


def standardised(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Both samples' features, (N + M, D) float32, of one size over both.

    A feature is divided by the root mean square of its own deviation and the common one.
    """
    rows = np.concatenate([first, second]).astype(np.float32)
    own = rows.std(axis=0)
    total = float(own.sum())
    common = float(own @ own) / total if total > 0 else 1.0
    spread = np.sqrt((own**2 + common**2) / 2)
    return np.asarray((rows - rows.mean(axis=0)) / np.where(spread > 0, spread, 1.0))


def distances(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Squared distances (N, M) of rows (N, D) from others (M, D)."""
    squares = (rows**2).sum(axis=1)[:, None] + (others**2).sum(axis=1)
    return np.asarray(np.maximum(squares - 2 * rows @ others.T, 0))


def kernel(rows: np.ndarray) -> np.ndarray:
    """The Gaussian kernel (N, N) float32 whose width is the median distance."""
    return gaussian(distances(rows, rows))


def gaussian(far: np.ndarray) -> np.ndarray:
    """The same of squared distances (N, N)."""
    part = far[:: max(1, len(far) // _WIDTH), :: max(1, len(far) // _WIDTH)]
    middle = float(np.median(part[part > 0])) if (part > 0).any() else 1.0
    return np.asarray(np.exp(-far / middle), dtype=np.float32)


def assignments(
    second: np.ndarray, rounds: int, rng: np.random.Generator, strata: np.ndarray | None = None
) -> np.ndarray:
    """Which items are in the second sample, (rounds, N) bool, drawn anew; `second` (N,) says now.

    Within each of the `strata` (N,) as many as there are.
    """
    labels = np.empty((rounds, len(second)), dtype=bool)
    groups = np.zeros(len(second), dtype=int) if strata is None else strata
    for group in np.unique(groups):
        places = np.flatnonzero(groups == group)
        labels[:, places] = rng.permuted(np.tile(second[places], (rounds, 1)), axis=1)
    return labels


def discrepancy(alike: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The squared maximum mean discrepancy of each assignment (R, N), by a kernel (N, N).

    Biased (Gretton et al. 2012), which is the same for all assignments of the same sizes.
    """
    weights = _contrast(second.astype(np.float32))
    return np.asarray(((weights @ alike) * weights).sum(axis=1))


def distance_of_means(rows: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The squared distance of both samples' means, (R,), of rows (N, K) by assignments (R, N)."""
    weights = _contrast(second.astype(np.float64))
    return np.asarray(((weights @ rows) ** 2).sum(axis=1))


def _contrast(inside: np.ndarray) -> np.ndarray:
    """What weighs the mean of the second sample less that of the first, (R, N)."""
    weights = inside / inside.sum(axis=1, keepdims=True)
    return np.asarray(weights - (1 - inside) / (1 - inside).sum(axis=1, keepdims=True))


def mmd(
    alike: np.ndarray,
    second: np.ndarray,
    rng: np.random.Generator,
    rounds: int = ROUNDS,
    strata: np.ndarray | None = None,
) -> Test:
    """The maximum mean discrepancy of two samples, less what chance gives it, and its p-value.

    With `strata` (N,) items change samples within their own only: whether samples differ there.
    """
    value = float(discrepancy(alike, second[None])[0])
    parts = []
    for start in range(0, rounds, _BLOCK):
        shuffled = assignments(second, min(_BLOCK, rounds - start), rng, strata)
        parts.append(discrepancy(alike, shuffled))
    chance = np.concatenate(parts)
    p = (1 + int((chance >= value - 1e-9).sum())) / (1 + rounds)
    return Test(max(0.0, value - float(chance.mean())) ** 0.5, p)


def mean_shift(
    rows: np.ndarray, second: np.ndarray, rng: np.random.Generator, rounds: int = ROUNDS
) -> Test:
    """The distance of both samples' means of rows (N, K), with its permutation p-value."""
    value = float(distance_of_means(rows, second[None])[0])
    chance = distance_of_means(rows, assignments(second, rounds, rng))
    return Test(value**0.5, (1 + int((chance >= value - 1e-12).sum())) / (1 + rounds))


def told_apart(
    rows: np.ndarray, second: np.ndarray, rng: np.random.Generator, rounds: int = ROUNDS
) -> tuple[Test, np.ndarray]:
    """The AUC of a classifier that tells the samples apart, and each item's score, (N,).

    Ridge regression on features (N, D), each item judged by all others, exactly (Allen 1974). What
    depends on the features alone is computed once, so that the same fit is done for each
    permutation: a test on cross-validated hits without one is invalid, as they are not independent.
    """
    centred = rows - rows.mean(axis=0)
    gram = (centred @ centred.T).astype(np.float64)
    strength = float(np.trace(gram)) / len(gram) or 1.0
    hat = np.linalg.solve(gram + strength * np.eye(len(gram)), gram).T
    permutations = np.concatenate([second[None], assignments(second, rounds, rng)])
    centred_labels = permutations - permutations.mean(axis=1, keepdims=True)
    own = np.diag(hat)
    scores = (centred_labels @ hat - centred_labels * own) / np.maximum(1 - own, 1e-6)
    values = auc(scores, permutations)
    p = (1 + int((values[1:] >= values[0] - 1e-12).sum())) / (1 + rounds)
    return Test(float(values[0]), p), scores[0]


def auc(scores: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The share of pairs, (R,), in which the second sample's item has the higher of scores."""
    ranks = _ranks(scores)
    count = second.sum(axis=1)
    below = (ranks * second).sum(axis=1) - count * (count + 1) / 2
    return np.asarray(below / (count * (second.shape[1] - count)))


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1 within each row of (R, N), the mean of them where values are equal.

    Importing `scipy.stats` for this takes a second, as long as a small data set's engine.
    """
    order = np.argsort(values, axis=1)
    ordered = np.take_along_axis(values, order, axis=1)
    places, breaks = np.arange(values.shape[1]), np.diff(ordered, axis=1) != 0
    begins, ends = (
        np.pad(breaks, ((0, 0), side), constant_values=True) for side in ((1, 0), (0, 1))
    )
    first = np.maximum.accumulate(np.where(begins, places, 0), axis=1)
    last = np.where(ends, places, places[-1])[:, ::-1]
    last = np.minimum.accumulate(last, axis=1)[:, ::-1]
    ranks = np.empty(values.shape)
    np.put_along_axis(ranks, order, (first + last) / 2 + 1, axis=1)
    return ranks


def by_dimension(first: np.ndarray, second: np.ndarray) -> dict[str, Any]:
    """Kolmogorov and Smirnov's test of each feature, at .05 over all of them (Bonferroni)."""
    from scipy.stats import ks_2samp

    test = ks_2samp(first.astype(float), second.astype(float), axis=0, method="asymp")
    effects, chances = np.atleast_1d(test.statistic), np.atleast_1d(test.pvalue)
    worst = int(effects.argmax())
    return {
        "features": len(effects),
        "moved": int((chances * len(effects) <= 0.05).sum()),
        "largest": round(float(effects[worst]), 5),
        "p": round(float(min(1.0, chances[worst] * len(effects))), 5),
    }
