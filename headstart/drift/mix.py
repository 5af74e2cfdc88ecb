"""Which classes new items are of, by a model that was held to others: shares with intervals."""

from __future__ import annotations

from typing import Final

import numpy as np

_TAIL = 0.025  # beyond each bound
_STEPS: Final = 100
_ENOUGH: Final = 1e-5
_RESAMPLES: Final = 100
_MANY: Final = 200_000  # probabilities, from which on fewer samples are drawn, as each takes long
_FEW_RESAMPLES: Final = 20


def shares_of(chances: np.ndarray, before: np.ndarray) -> np.ndarray:
    """The shares of classes (labels,) among items with probabilities (N, labels).

    `before` (labels,) are the shares among the items by which the probabilities were calibrated.
    Expectation maximisation of the likelihood (Saerens et al. 2002), which holds where the inputs
    of each class are what they were.
    """
    shares = before.copy()
    for _ in range(_STEPS):
        weighed = chances * (shares / np.maximum(before, 1e-12))
        new = (weighed / np.maximum(weighed.sum(axis=1, keepdims=True), 1e-300)).mean(axis=0)
        done = float(np.abs(new - shares).max()) < _ENOUGH
        shares = new
        if done:
            break
    return np.asarray(shares)


def with_interval(
    chances: np.ndarray, held_out: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Shares among new items, (labels,), with 95 % bounds: their probabilities and the known ones'.

    Both samples are drawn anew, as what is known of the model is from few items, too.
    """
    resampled = [
        shares_of(
            chances[rng.integers(0, len(chances), len(chances))],
            held_out[rng.integers(0, len(held_out), len(held_out))].mean(axis=0),
        )
        for _ in range(_RESAMPLES if chances.size <= _MANY else _FEW_RESAMPLES)
    ]
    value = shares_of(chances, held_out.mean(axis=0))
    low, high = np.quantile(resampled, [_TAIL, 1 - _TAIL], axis=0)
    least, most = _TAIL ** (1 / len(chances)), 1 - _TAIL ** (1 / len(chances))
    low, high = np.minimum(low, least), np.maximum(high, most)  # as for none, or all, of so many
    return value, np.minimum(low, value), np.maximum(high, value)
