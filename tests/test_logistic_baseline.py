"""The baseline's logistic regression answers as scikit-learn's does."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from headstart.evidence.logistic import fitted


@pytest.mark.parametrize("labels", [2, 3, 7])
@pytest.mark.parametrize("strength", [0.1, 1.0, 30.0])
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_it_is_that_of_scikit_learn(
    labels: int, strength: float, sparse: bool, weighted: bool
) -> None:
    rng = np.random.default_rng(labels)
    targets = np.arange(90) % labels
    rows = rng.normal(size=(90, 12)) + rng.normal(size=(labels, 12))[targets]
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    rows[np.abs(rows) < 0.1] = 0
    weights = 0.5 + np.arange(labels) if weighted else np.ones(labels)
    inputs = csr_matrix(rows) if sparse else rows
    layer = fitted(inputs, targets, weights[targets], strength)
    own = LogisticRegression(C=strength, tol=1e-3, class_weight=dict(enumerate(weights)))
    expected = own.fit(inputs, targets).predict_log_proba(inputs)
    np.testing.assert_allclose(layer.log_probabilities(inputs), expected, rtol=1e-3, atol=1e-3)
    assert np.exp(layer.log_probabilities(inputs)).sum(axis=1) == pytest.approx(1)


def test_extreme_rows_stay_finite() -> None:
    rows = np.array([[1e4], [-1e4], [2e4], [-2e4]])
    layer = fitted(rows, np.array([0, 1, 0, 1]), np.ones(4), 1.0)
    answers = layer.log_probabilities(np.array([[1e8], [-1e8]]))
    assert np.isfinite(answers).all()
    assert answers.argmax(axis=1).tolist() == [0, 1]


def test_words_that_are_rare_one_by_one_are_learned_from() -> None:
    words = np.arange(4000) % 2000
    rows = csr_matrix((np.ones(4000), (np.arange(4000), words)))
    layer = fitted(rows, words % 2, np.ones(4000), 10.0)
    assert (layer.log_probabilities(rows).argmax(axis=1) == words % 2).all()
