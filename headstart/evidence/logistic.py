"""Logistic regression as scikit-learn fits it, without the seconds that importing that takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from headstart.runtime.machine import threads_for

_STEPS, _SLOPE = 100, 1e-3  # at most, and where the search ends: held-out items judge the result
_SHARE: Final = 0.01  # of the first slope, which is below that from the start where words are many
_CHANGE: Final = 64 * float(np.finfo(float).eps)


@dataclass(frozen=True)
class Logistic:
    """Weights (K, D) and bias (K,), of a single row where there are two labels."""

    weight: np.ndarray
    bias: np.ndarray

    def log_probabilities(self, rows: Any) -> np.ndarray:
        """Of each label for rows (N, D): (N, labels) float64."""
        outputs = np.asarray(rows @ self.weight.T + self.bias, dtype=np.float64)
        if outputs.shape[1] == 1:
            return -np.logaddexp(0, np.hstack([outputs, -outputs]))
        return np.asarray(outputs - _totals(outputs))


def fitted(rows: Any, targets: np.ndarray, counts: np.ndarray, strength: float) -> Logistic:
    """What loses least on rows (N, D), an array or sparse, with penalised weights.

    `targets` (N,) are labels from 0, each of at least one row; `counts` (N,) is how much a row
    counts, and `strength` the inverse of the penalty on half the squared weights. The objective,
    solver and stops are those of scikit-learn's `LogisticRegression` with `tol=1e-3`, so that its
    answers are the same, except that it goes on to a hundredth of the first slope.
    """
    from scipy.optimize import minimize

    labels, width = int(targets.max()) + 1, rows.shape[1]
    memberships = np.eye(labels)[targets] if labels > 2 else targets[:, None].astype(np.float64)
    lost = _softmax if labels > 2 else _sigmoid
    shape, total = (memberships.shape[1], width + 1), counts.sum()

    def value(point: np.ndarray) -> tuple[float, np.ndarray]:
        layer = point.reshape(shape)
        outputs = np.asarray(rows @ layer[:, :-1].T + layer[:, -1])
        losses, errors = lost(outputs, memberships)
        errors *= counts[:, None]
        slope = np.empty(shape)
        slope[:, :-1] = (rows.T @ errors).T + layer[:, :-1] / strength
        slope[:, -1] = errors.sum(axis=0)
        penalty = (layer[:, :-1] ** 2).sum() / (2 * strength)
        return float(counts @ losses + penalty) / total, slope.ravel() / total

    start = np.zeros(shape).ravel()
    with threads_for(rows.size):
        least = min(_SLOPE, _SHARE * np.abs(value(start)[1]).max())
        options = {"maxiter": _STEPS, "maxls": 50, "gtol": least, "ftol": _CHANGE}
        done = minimize(value, start, jac=True, method="L-BFGS-B", options=options)
    layer = done.x.reshape(shape)
    return Logistic(layer[:, :-1], layer[:, -1])


Loss = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]  # losses and errors


def _softmax(outputs: np.ndarray, memberships: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    totals = _totals(outputs)
    losses = totals[:, 0] - (outputs * memberships).sum(axis=1)
    return losses, np.exp(outputs - totals) - memberships


def _sigmoid(outputs: np.ndarray, memberships: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    from scipy.special import expit

    losses = np.logaddexp(0, outputs) - outputs * memberships
    return losses[:, 0], expit(outputs) - memberships


def _totals(outputs: np.ndarray) -> np.ndarray:
    most = outputs.max(axis=1, keepdims=True)
    return np.asarray(most + np.log(np.exp(outputs - most).sum(axis=1, keepdims=True)))
