"""Linear heads other than the logistic one: ridge and a linear support vector machine."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np

from headstart.contracts.head import SURE, HeadFitter, TrainingSet
from headstart.contracts.standardisation import Standardisation
from headstart.contracts.targets import Encoding

if TYPE_CHECKING:  # so that frozen features need no torch
    from torch import nn

RIDGE_STRENGTHS = tuple(10.0**power for power in range(-4, 4))  # as shares of the number of items
_MANY = 20_000_000  # items times labels, beyond which what each is to answer is not held at once
SVM_STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # inverse ones, on standardised features


@final
class Ridge(HeadFitter):
    """Least squares with a penalty on the weights; labels are met as 1 and -1.

    Reference: Hoerl and Kennard 1970. Closed form, so that it is quick for many labels.
    """

    margins: ClassVar[bool] = True

    def candidates(self, training: TrainingSet) -> Iterator[nn.Linear]:
        """A layer for each strength of the penalty. Raises DataError for features not finite."""
        from sklearn.linear_model import Ridge as Solver

        standardised = Standardisation.of(training.features)
        inputs = standardised(training.features)
        encoding, count = training.shape.encoding, len(inputs) * training.shape.labels
        if encoding is Encoding.INDEX and count > _MANY:
            for weight, bias in _by_class(inputs, training):
                yield standardised.folded(weight, bias)
            return
        goals = training.memberships()
        if encoding is not Encoding.AMOUNTS:
            goals = 2 * goals - 1
        for strength in RIDGE_STRENGTHS:
            solver = Solver(alpha=strength * len(inputs))
            solver.fit(inputs, goals, sample_weight=training.weights)
            coefficients = np.reshape(solver.coef_, (training.shape.labels, -1))
            yield standardised.folded(coefficients, np.atleast_1d(solver.intercept_))


def _by_class(inputs: np.ndarray, training: TrainingSet) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The same solutions from the sums of inputs (N, D) by class: no number an item and class."""
    shape, share = training.shape, training.weights / training.weights.sum()
    middle = share @ inputs
    counts = np.bincount(training.targets, share, minlength=shape.labels)
    sums = np.zeros((shape.labels, shape.width))
    np.add.at(sums, training.targets, inputs * share[:, None])
    loads = 2 * (sums - counts[:, None] * middle)  # with labels met as 1 and -1
    centred = (inputs - middle) * np.sqrt(share)[:, None]
    values, axes = np.linalg.eigh(centred.T @ centred)
    turned = loads @ axes
    for strength in RIDGE_STRENGTHS:
        penalty = strength * len(inputs) / training.weights.sum()
        weight = (turned / (np.maximum(values, 0.0) + penalty)) @ axes.T
        yield weight, 2 * counts - 1 - weight @ middle


@final
class LinearSupportVectors(HeadFitter):
    """A linear support vector machine: each label against the rest by the squared hinge.

    Reference: Cortes and Vapnik 1995; solved by LIBLINEAR (Fan et al. 2008). Numbers are met by
    support vector regression, which bears outliers.
    """

    margins: ClassVar[bool] = True

    def candidates(self, training: TrainingSet) -> Iterator[nn.Linear]:
        """A layer for each strength. Raises DataError for features that are not finite."""
        standardised = Standardisation.of(training.features)
        inputs = standardised(training.features)
        for strength in SVM_STRENGTHS:
            rows = [_border(inputs, column, training, strength) for column in training.columns()]
            weight, bias = (np.array(part) for part in zip(*rows, strict=True))
            yield standardised.folded(weight, bias)


def _border(
    inputs: np.ndarray, column: np.ndarray, training: TrainingSet, strength: float
) -> tuple[np.ndarray, float]:
    """Weight (D,) and bias of one output."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.svm import LinearSVC, LinearSVR

    still = np.zeros(inputs.shape[1])
    if training.shape.encoding is Encoding.AMOUNTS:
        settings: dict[str, Any] = {"epsilon": 0.1, "dual": True}
        solver = LinearSVR(C=strength, random_state=0, **settings)
    elif column.min() == column.max():
        return still, SURE if column[0] else -SURE
    else:
        solver = LinearSVC(C=strength, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # validation judges the result
        solver.fit(inputs, column, sample_weight=training.weights)
    return solver.coef_.ravel(), float(np.ravel(solver.intercept_)[0])
