"""Transferability: how well a pretrained network suits labelled items, without any training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from headstart.contracts import Array
from headstart.transferability.held_out import k_nn, linear, neighbours, ridge
from headstart.transferability.sample import Sample

# Ratios of weight precision to noise precision, as shares of the features' total variance.
_RATIOS = 10.0 ** np.arange(-8, 4.25, 0.25)
_ZOOMS = 8  # refinements, each four times as fine as the one before


def logme(sample: Sample) -> float:
    """The greatest log evidence an item of a linear model, mean over classes, numbers or labels.

    Each column of the codes is a linear function of the features plus noise, with Gaussian weights
    of precision alpha and Gaussian noise of precision beta. The weights are integrated out, and
    alpha and beta are those of greatest evidence. With t = alpha / beta, squared singular values s
    of the features, loads x (the column along the left singular vectors) and n items less one, as
    the mean is given freely:

        evidence = -1/2 (n log(2 pi q / n) + n + sum log(1 + s / t)),
        q = sum x² t / (s + t) + the square of what the features can't reach

    where beta = n / q is solved for already. The sums run over the rank of the features, at most
    min(N, D): the dimension D appears nowhere, while forms with D/2 log(alpha) over a sum that
    stops at N rank noise of many dimensions first.

    Reference: You et al. 2021; MacKay 1992 for the evidence. Relations: `ridge` with the strength
    picked by evidence instead of held-out error. Cost: O(N D min(N, D)) for the axes, which all
    scores share, then O(R K) for each of about 120 ratios; the maximum is looked for on a grid,
    then ever nearer to it, as iterations to a fixed point stop early or run away. Known failure:
    class labels are no Gaussian numbers; rare classes count as much as frequent ones.
    """
    left, lengths = sample.axes
    codes = sample.codes[:, sample.varying]
    codes = codes - codes.mean(axis=0)
    loads = (left.T @ codes) ** 2
    unreached = np.maximum((codes**2).sum(axis=0) - loads.sum(axis=0), 0)
    parts = (lengths**2 / len(sample), loads, unreached)
    ratios = np.repeat(_RATIOS[:, None], codes.shape[1], axis=1)
    for zoom in range(_ZOOMS):
        values = np.array([_evidence(ratio, parts, len(sample) - 1) for ratio in ratios])
        best = np.take_along_axis(ratios, values.argmax(axis=0)[None], axis=0)
        reach = 0.25 / 4**zoom
        ratios = best * 10.0 ** np.linspace(-reach, reach, 9)[:, None]
    return float(values.max(axis=0).mean() / len(sample))


def _evidence(ratio: Array, parts: tuple[Array, Array, Array], freedom: int) -> Array:
    """Log evidence of each column (K,) at its ratio (K,), the noise being the best for it."""
    squares, loads, unreached = parts
    signal = squares[:, None] / ratio
    misfit = (loads / (1 + signal)).sum(axis=0) + unreached
    fit = freedom * (np.log(2 * np.pi * misfit / freedom) + 1)
    return np.asarray(-0.5 * (fit + np.log1p(signal).sum(axis=0)))


SCORES: Mapping[str, Callable[[Sample], float]] = MappingProxyType(
    {"k-nn": k_nn, "ridge": linear, "logme": logme}
)


def scored(sample: Sample) -> dict[str, float | None]:
    """Each score by name, a finite number; None where all items have the same target.

    Where items have groups LogME is None, as it looks at all of them at once. Higher is better.
    Numbers of one score compare networks on the same items, and nothing else.
    """
    names = [name for name in SCORES if sample.groups is None or name != "logme"]
    names = names if sample.varying.any() else []
    return {name: float(score(sample)) if name in names else None for name, score in SCORES.items()}


def combined(scores: Sequence[Mapping[str, float | None]]) -> Array:
    """The mean rank of each candidate in LogME, k-NN and ridge regression: (candidates,).

    Higher is better. No single score ranks best everywhere, and small changes of the set-up turn
    their order around (Agostinelli et al. 2022). These three are defined for every kind of target,
    need the features alone, and fail for different reasons: LogME looks at all items at once and
    rests on a model of them, while the others predict held-out items, k-NN from near ones and ridge
    regression along straight lines. Ranks are averaged (Borda 1784), because the scores have no
    unit in common and none must outweigh the others by its spread. A score that is missing or None
    counts as worst; equal ones share their ranks.
    """
    rows = [[score.get(name) for name in SCORES] for score in scores]
    values = np.array(rows, dtype=np.float64).reshape(len(scores), len(SCORES))
    values[np.isnan(values)] = -np.inf  # None too
    below = (values[:, None] > values).sum(axis=1)
    tied = (values[:, None] == values).sum(axis=1)  # itself too
    return np.asarray((below + (tied + 1) / 2).mean(axis=1))


__all__ = ["SCORES", "Sample", "combined", "neighbours", "ridge", "scored"]
