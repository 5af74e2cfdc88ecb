"""How far numbers are off."""

from __future__ import annotations

from math import inf
from typing import Any, ClassVar, final

import numpy as np

from headstart.contracts.metric import NUMBERS, Mean, Metric, library_of

_STILL = 1e-10  # of its mean: the spread of a number that never changes
_EXACT = 1e-6  # of its mean, or of 1: the error of such a number that is met exactly


@final
class MAE(Mean):
    """The mean absolute error in the user's units, mean over the numbers."""

    name: ClassVar[str] = "MAE"
    kinds: ClassVar[tuple[str, ...]] = (NUMBERS,)
    less_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (0.0, inf)

    def each(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """The absolute error of each item, (N,)."""
        return np.asarray(np.abs(predictions.astype(np.float64) - targets).mean(axis=1))


@final
class RMSE(Metric):
    """The root of the mean squared error in the user's units, mean over the numbers."""

    name: ClassVar[str] = "RMSE"
    kinds: ClassVar[tuple[str, ...]] = (NUMBERS,)
    less_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (0.0, inf)
    in_arrays: ClassVar[bool] = True
    of_squares: ClassVar[bool] = True

    def statistics(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """The squared error of each number, (N, M)."""
        return np.asarray((predictions.astype(np.float64) - targets) ** 2)

    def value(self, statistics: Any, weights: Any) -> Any:
        """The root of the mean of each number's, and their mean."""
        squares = weights @ statistics / weights.sum(1)[:, None]
        return (library_of(squares).clip(squares, min=1e-200) ** 0.5).mean(1)


@final
class R2(Metric):
    """The share of variance explained, mean over the numbers.

    A number that doesn't vary has no variance to explain: it counts 1 where it is met exactly.
    """

    name: ClassVar[str] = "r2"
    kinds: ClassVar[tuple[str, ...]] = (NUMBERS,)
    resampled: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (-inf, 1.0)
    in_arrays: ClassVar[bool] = True

    def statistics(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Squared errors and targets of each number, (N, 2 M), the targets less their mean."""
        truth = targets.astype(np.float64)
        errors = (predictions.astype(np.float64) - truth) ** 2
        still = (truth == truth[:1]).all(axis=0)
        return np.hstack([errors, np.where(still, 0.0, truth - truth.mean(axis=0))])

    def value(self, statistics: Any, weights: Any) -> Any:
        """One minus the squared error over that of the mean."""
        half, library = statistics.shape[1] // 2, library_of(statistics)
        errors, truth = statistics[:, :half], statistics[:, half:]
        total = weights.sum(1)[:, None]
        mean = weights @ truth / total
        variance = library.clip(weights @ truth**2 / total - mean**2, min=0.0)
        error = weights @ errors / total
        varies = variance > 1e-12 * library.amax(truth**2, 0)
        explained = 1 - error / library.where(varies, variance, 1.0)
        exact = library.where(error <= _EXACT**2, 1.0, 0.0 * error)
        return library.where(varies, explained, exact).mean(1)

    def scores(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """One minus the squared error over the given targets' variance, (N,), mean R²."""
        if not len(targets):
            return np.empty(0)
        truth = targets.astype(np.float64)
        errors, middle = (predictions.astype(np.float64) - truth) ** 2, np.abs(truth.mean(axis=0))
        variance = truth.var(axis=0)
        still = variance <= (_STILL * middle) ** 2
        met = errors <= (_EXACT * np.where(middle > 0, middle, 1.0)) ** 2
        explained = 1 - errors / np.where(still, 1.0, variance)
        return np.asarray(np.where(still, met, explained).mean(axis=1))
