"""Logistic regression that is drawn to the sources' weights in the place of zero."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Final, final

import numpy as np
from torch import nn

from headstart.contracts.head import TrainingSet
from headstart.contracts.logistic import best_strength, logistic, softmax
from headstart.contracts.related import Related, SourcedHead
from headstart.contracts.standardisation import Standardisation
from headstart.contracts.targets import Encoding
from headstart.errors import HeadstartError
from headstart.heads.related import layer

_SLOPES: Final = (0.0, 0.5, 1.0)  # of the sources' weights
_STRENGTHS: Final = (0.3, 1.0, 3.0, 10.0, 30.0)  # of the penalty, in rows
_FOLDS: Final = 5


@final
class SourceLogistic(SourcedHead):
    """Multinomial logistic regression whose penalty is on what differs from the sources'.

    Which multiple of their weights it is drawn to, and how strongly, is told by folds of the
    target's rows; a multiple of 0 is logistic regression on the target alone.
    """

    cross_validates: ClassVar[bool] = True

    def candidates(self, training: TrainingSet) -> Iterator[nn.Module]:
        """The one layer. Raises HeadstartError without sources, and for targets but classes."""
        self.demand_sources()
        if training.shape.encoding is not Encoding.INDEX:
            raise HeadstartError(
                "source-logistic learns classes from other tables, and these are none. "
                "Name another --head, such as source-prior for numbers."
            )
        scale = Standardisation.of(
            np.concatenate([training.features, *(each.features for each in self.related)])
        )
        inputs, marks = scale(training.features), training.memberships()
        prior_weights = _weights(self.related, scale, training.shape.labels)
        folds = np.arange(len(inputs)) % min(_FOLDS, len(inputs))
        order = np.argsort(training.targets, kind="stable")
        of = np.empty(len(inputs), dtype=int)
        of[order] = folds
        losses = {
            (slope, strength): sum(
                _lost(inputs, marks, slope * prior_weights, strength, of == fold)
                for fold in np.unique(of)
            )
            for slope in _SLOPES
            for strength in _STRENGTHS
        }
        slope, strength = min(losses, key=lambda setting: losses[setting])
        weight, bias = _fitted(inputs, marks, slope * prior_weights, strength)
        rows = weight / scale.spread
        yield layer(rows, bias - rows @ scale.mean)


def _weights(related: Sequence[Related], scale: Standardisation, classes: int) -> np.ndarray:
    """The mean of the sources' own weights (classes, D), for standardised features."""
    every = []
    for each in related:
        inputs = np.where(each.mask, scale(each.features), 0.0)
        strength = best_strength(inputs, each.targets, classes)
        weight, _ = logistic(inputs, each.targets, classes, None, strength)
        every.append(np.where(each.mask, weight, 0.0))
    return np.asarray(np.mean(every, axis=0))


def _lost(
    inputs: np.ndarray,
    marks: np.ndarray,
    prior_weights: np.ndarray,
    strength: float,
    out: np.ndarray,
) -> float:
    weight, bias = _fitted(inputs[~out], marks[~out], prior_weights, strength)
    shares = softmax(inputs[out] @ weight.T + bias)
    return float(-np.log((shares * marks[out]).sum(axis=1) + 1e-12).sum())


def _fitted(
    inputs: np.ndarray, marks: np.ndarray, prior_weights: np.ndarray, strength: float
) -> tuple[np.ndarray, np.ndarray]:
    """Weight (classes, D) and bias, by L-BFGS from the weights that they are drawn to."""
    from scipy.optimize import minimize

    classes, width = prior_weights.shape

    def lost(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weight, bias = flat[:-classes].reshape(classes, width), flat[-classes:]
        shares = softmax(inputs @ weight.T + bias)
        apart = weight - prior_weights
        value = -np.log((shares * marks).sum(axis=1) + 1e-300).sum()
        value += strength * (apart**2).sum() / 2 + 1e-2 * (bias**2).sum() / 2
        error = shares - marks
        slopes = error.T @ inputs + strength * apart
        return float(value), np.concatenate([slopes.ravel(), error.sum(axis=0) + 1e-2 * bias])

    start = np.concatenate([prior_weights.ravel(), np.zeros(classes)])
    ended = minimize(lost, start, jac=True, method="L-BFGS-B", options={"maxiter": 200}).x
    return ended[:-classes].reshape(classes, width), ended[-classes:]
