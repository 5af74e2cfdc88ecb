"""One number a candidate from several scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from headstart.contracts import Array

COMBINED = ("logme", "k-nn", "ridge")


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
    values = np.array(
        [[_value(found.get(name)) for name in COMBINED] for found in scores], dtype=np.float64
    ).reshape(len(scores), len(COMBINED))
    below = (values[:, None] > values).sum(axis=1)
    tied = (values[:, None] == values).sum(axis=1)  # itself too
    return np.asarray((below + (tied + 1) / 2).mean(axis=1))


def _value(score: float | None) -> float:
    return -np.inf if score is None else score
