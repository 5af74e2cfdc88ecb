"""Linear heads other than the logistic one: ridge and a linear support vector machine."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any, ClassVar, final

import numpy as np
from torch import nn

from headstart.head import SURE, HeadFitter, Standardisation, TrainingSet

RIDGE_STRENGTHS = tuple(10.0**power for power in range(-4, 4))  # as shares of the number of items
SVM_STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # inverse ones, on standardised features


@final
class Ridge(HeadFitter):
    """Least squares with a penalty on the weights; labels are met as 1 and -1.

    Reference: Hoerl and Kennard 1970. Closed form, so that it is quick for many labels.
    """

    margins: ClassVar[bool] = True

    def candidates(self, given: TrainingSet) -> Iterator[nn.Linear]:
        """A layer for each strength of the penalty. Raises DataError for features not finite."""
        from sklearn.linear_model import Ridge as Solver

        standardised = Standardisation.of(given.features)
        inputs, wanted = standardised(given.features), given.memberships()
        if given.shape.kind != "numbers":
            wanted = 2 * wanted - 1
        for strength in RIDGE_STRENGTHS:
            solver = Solver(alpha=strength * len(inputs))
            solver.fit(inputs, wanted, sample_weight=given.weights)
            coefficients = np.reshape(solver.coef_, (given.shape.labels, -1))
            yield standardised.folded(coefficients, np.atleast_1d(solver.intercept_))


@final
class LinearSupportVectors(HeadFitter):
    """A linear support vector machine: each label against the rest by the squared hinge.

    Reference: Cortes and Vapnik 1995; solved by LIBLINEAR (Fan et al. 2008). Numbers are met by
    support vector regression, which bears outliers.
    """

    margins: ClassVar[bool] = True

    def candidates(self, given: TrainingSet) -> Iterator[nn.Linear]:
        """A layer for each strength. Raises DataError for features that are not finite."""
        standardised = Standardisation.of(given.features)
        inputs = standardised(given.features)
        for strength in SVM_STRENGTHS:
            rows = [_border(inputs, column, given, strength) for column in given.memberships().T]
            weight, bias = (np.array(part) for part in zip(*rows, strict=True))
            yield standardised.folded(weight, bias)


def _border(
    inputs: np.ndarray, column: np.ndarray, given: TrainingSet, strength: float
) -> tuple[np.ndarray, float]:
    """Weight (D,) and bias of one output."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.svm import LinearSVC, LinearSVR

    still = np.zeros(inputs.shape[1])
    if given.shape.kind == "numbers":
        settings: dict[str, Any] = {"epsilon": 0.1, "dual": True}
        solver = LinearSVR(C=strength, random_state=0, **settings)
    elif column.min() == column.max():
        return still, SURE if column[0] else -SURE
    else:
        solver = LinearSVC(C=strength, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # validation judges the result
        solver.fit(inputs, column, sample_weight=given.weights)
    return solver.coef_.ravel(), float(np.ravel(solver.intercept_)[0])
