"""How good the probabilities are: proper scoring rules."""

from __future__ import annotations

from math import inf
from typing import ClassVar, final

import numpy as np

from headstart.contracts.metric import CLASSES, LABEL_SETS, Mean

_LEAST = float(np.finfo(np.float64).eps)  # a probability, as scikit-learn clips it


@final
class LogLoss(Mean):
    """Minus the logarithm of the probability of what is true; of label sets the mean over labels.

    Good (1952).
    """

    name: ClassVar[str] = "log loss"
    kinds: ClassVar[tuple[str, ...]] = (CLASSES, LABEL_SETS)
    less_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (0.0, inf)

    def each(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """The loss of each item, (N,)."""
        shares = np.clip(predictions.astype(np.float64), _LEAST, 1 - _LEAST)
        if targets.ndim == 1:
            own = np.take_along_axis(shares, targets[:, None].astype(np.int64), axis=1)[:, 0]
            return np.asarray(-np.log(own))
        return np.asarray(-np.log(np.where(targets > 0, shares, 1 - shares)).mean(axis=1))


@final
class Brier(Mean):
    """The squared error of the probabilities (Brier 1950).

    Of more than two classes it is their sum, as scikit-learn's, so that it may be up to 2; of label
    sets the mean over labels.
    """

    name: ClassVar[str] = "Brier score"
    kinds: ClassVar[tuple[str, ...]] = (CLASSES, LABEL_SETS)
    less_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (0.0, 2.0)

    def each(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """The squared error of each item, (N,)."""
        shares = predictions.astype(np.float64)
        if targets.ndim > 1:
            return np.asarray(((shares - (targets > 0)) ** 2).mean(axis=1))
        errors = ((shares - (targets[:, None] == np.arange(shares.shape[1]))) ** 2).sum(axis=1)
        return np.asarray(errors / 2 if shares.shape[1] == 2 else errors)
