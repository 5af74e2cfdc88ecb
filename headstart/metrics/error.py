"""How far numbers are off."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np

from headstart.contracts.metric import NUMBERS, Mean, Metric

if TYPE_CHECKING:  # so that frozen features need no torch
    from torch import Tensor

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

    def statistics(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """The squared error of each number, (N, M)."""
        return np.asarray((predictions.astype(np.float64) - targets) ** 2)

    def value(self, statistics: Tensor, weights: Tensor) -> Tensor:
        """The root of the mean of each number's, and their mean."""
        squares = weights @ statistics / weights.sum(dim=1, keepdim=True)
        return squares.clamp_min(1e-200).sqrt().mean(dim=1)


@final
class R2(Metric):
    """The share of variance explained, mean over the numbers.

    A number that doesn't vary has no variance to explain: it counts 1 where it is met exactly.
    """

    name: ClassVar[str] = "r2"
    kinds: ClassVar[tuple[str, ...]] = (NUMBERS,)
    resampled: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (-inf, 1.0)

    def statistics(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Squared errors and targets of each number, (N, 2 M), the targets less their mean."""
        truth = targets.astype(np.float64)
        errors = (predictions.astype(np.float64) - truth) ** 2
        still = (truth == truth[:1]).all(axis=0)
        return np.hstack([errors, np.where(still, 0.0, truth - truth.mean(axis=0))])

    def value(self, statistics: Tensor, weights: Tensor) -> Tensor:
        """One minus the squared error over that of the mean."""
        import torch

        errors, truth = statistics.chunk(2, dim=1)
        total = weights.sum(dim=1, keepdim=True)
        mean = weights @ truth / total
        variance = (weights @ truth**2 / total - mean**2).clamp_min(0.0)
        error = weights @ errors / total
        varies = variance > 1e-12 * (truth**2).amax(dim=0)
        explained = 1 - error / torch.where(varies, variance, 1.0)
        exact = (error <= _EXACT**2).to(error.dtype)
        return torch.where(varies, explained, exact).mean(dim=1)

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
