"""A linear classifier fitted to numbers, and what its answers say of the mix of classes."""

from __future__ import annotations

import warnings

import numpy as np

from headstart.contracts.standardisation import principal_axes

Layer = tuple[np.ndarray, np.ndarray]  # weight (classes, D) and bias (classes,), float64
STRENGTHS = (1e-3, 1e-2, 1e-1)  # inverse regularisation, on standardised features
_FOLDS = 3


def logistic(
    inputs: np.ndarray,
    targets: np.ndarray,
    classes: int,
    weights: np.ndarray | None = None,
    strength: float = STRENGTHS[1],
) -> Layer:
    """Multinomial logistic regression of class numbers (N,) on inputs (N, D).

    A class without an item is never answered.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    here = np.unique(targets)
    weight, bias = np.zeros((classes, inputs.shape[1])), np.full(classes, -30.0)
    if len(here) == 1:
        bias[here] = 0.0
        return weight, bias
    axes = principal_axes(inputs)[1]  # on which the same solution is found in less time
    fitted = LogisticRegression(C=strength, max_iter=200, tol=1e-3)
    with warnings.catch_warnings():  # what is nearly found serves as well
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted.fit(inputs @ axes, targets, sample_weight=weights)
    rows, offsets = fitted.coef_ @ axes.T, fitted.intercept_
    if len(here) == 2:
        rows, offsets = np.vstack([-rows, rows]) / 2, np.concatenate([-offsets, offsets]) / 2
    weight[here], bias[here] = rows, offsets
    return weight, bias


def best_strength(inputs: np.ndarray, targets: np.ndarray, classes: int) -> float:
    """The strength that loses least on items held out, by three folds of every class."""
    fold = np.zeros(len(targets), dtype=int)
    for number in range(classes):
        own = np.flatnonzero(targets == number)
        fold[own] = (np.arange(len(own)) + number) % _FOLDS
    losses = []
    for strength in STRENGTHS:
        lost = 0.0
        for number in range(_FOLDS):
            out = fold == number
            layer = logistic(inputs[~out], targets[~out], classes, None, strength)
            shares = softmax(outputs_of(layer, inputs[out]))
            lost -= np.log(shares[np.arange(out.sum()), targets[out]] + 1e-12).sum()
        losses.append(lost)
    return STRENGTHS[int(np.argmin(losses))]


def outputs_of(layer: Layer, inputs: np.ndarray) -> np.ndarray:
    """What a layer answers for inputs (N, D), (N, classes)."""
    return np.asarray(inputs @ layer[0].T + layer[1])


def softmax(outputs: np.ndarray) -> np.ndarray:
    """Probabilities from outputs (N, classes)."""
    powers = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def class_mix(probabilities: np.ndarray, shares: np.ndarray, rounds: int = 100) -> np.ndarray:
    """The shares of classes (classes,) that probabilities (N, classes) speak for most.

    Saerens et al. 2002, by expectation and maximisation; `shares` are those of the items that the
    probabilities were learned from. Half an item is added to each class, so that none vanishes.
    """
    mix = shares
    for _ in range(rounds):
        joint = probabilities * (mix / shares)
        counts = (joint / joint.sum(axis=1, keepdims=True)).sum(axis=0) + 0.5
        mix = counts / counts.sum()
    return np.asarray(mix)
