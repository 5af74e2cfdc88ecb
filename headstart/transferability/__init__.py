"""Transferability: how well a pretrained network suits labelled items, without any training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from headstart.contracts import Array
from headstart.transferability.held_out import k_nn, linear, neighbours, ridge
from headstart.transferability.marginal import logme
from headstart.transferability.sample import Sample

SCORES: Mapping[str, Callable[[Sample], float]] = MappingProxyType(
    {"k-nn": k_nn, "ridge": linear, "logme": logme}
)


def scored(sample: Sample) -> dict[str, float | None]:
    """Each score by name, a finite number; None where all items have the same target.

    Higher is better. Numbers of one score compare networks on the same items, and nothing else.
    """
    varies = sample.varying.any()
    return {name: float(score(sample)) if varies else None for name, score in SCORES.items()}


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
