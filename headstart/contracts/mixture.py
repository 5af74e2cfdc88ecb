"""Classes of a target as clouds of outputs: where each lies, and how much of the target it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headstart.contracts.logistic import Layer, outputs_of, softmax

_ROUNDS, _SETTLED = 100, 1e-5  # at most; change of the shares below which no more is done
_FLOOR = 0.05  # of the mean variance of the source's outputs, for directions without any
_MOVED, _APART, _SPREAD = 5.0, 30.0, 20.0  # items that priors count for, see `Mixture.of`


@dataclass(frozen=True)
class Mixture:
    """A layer (classes, D) that answers by a Gaussian mixture, and the shares of its classes."""

    layer: Layer
    shares: np.ndarray

    @classmethod
    def of(
        cls, start: Layer, source: np.ndarray, targets: np.ndarray, target: np.ndarray
    ) -> Mixture:
        """Find the source's classes in a target (T, D) by expectation and maximisation.

        Outputs of the source's layer are whitened by their spread within classes. There each class
        is a Gaussian; in the target its mean may have moved, with the others and by itself, spreads
        are common to all classes, and shares are free: a class that is not there ends with next to
        none, where methods that spread answers over all classes fill it with those of others.
        Priors hold means where the source has them: the common move counts as none with the weight
        of 5 items, that of a class by itself with 30, and spreads as the source's with 20.

        Reference: Dempster et al. 1977; Gauvain and Lee 1994 for the priors (MAP adaptation).
        """
        outputs, moved = outputs_of(start, source), outputs_of(start, target)
        classes = len(start[0])
        there = np.eye(classes)[targets]
        means = there.T @ outputs / np.maximum(there.sum(axis=0), 1)[:, None]
        within = outputs - means[targets]
        variances, axes = np.linalg.eigh(within.T @ within / max(len(outputs) - classes, 1))
        axes = axes / np.sqrt(np.maximum(variances, max(_FLOOR * variances.mean(), 1e-12)))
        weight, bias, shares = _settled(means @ axes, moved @ axes)
        whitened = axes @ weight.T  # (classes, classes), from outputs to outputs
        layer = (whitened.T @ start[0], whitened.T @ start[1] + bias)
        return cls(layer, shares)


def _settled(means: np.ndarray, items: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weight (K, R) and bias (K,) of the mixture that items (T, R) speak for, and its shares."""
    count, classes = len(items), len(means)
    shares, own = np.full(classes, 1 / classes), means
    spread = np.ones(items.shape[1])
    for _ in range(_ROUNDS):
        weight, bias = own / spread, np.log(shares) - (own**2 / spread).sum(axis=1) / 2
        chances = softmax(outputs_of((weight, bias), items))
        counts = chances.sum(axis=0)
        before, shares = shares, (counts + 1) / (count + classes)
        beyond = chances.T @ items - counts[:, None] * means
        common = beyond.sum(axis=0) / (count + _MOVED)
        own = means + common + (beyond - counts[:, None] * common) / (counts[:, None] + _APART)
        squares = (items**2).sum(axis=0) - 2 * ((chances.T @ items) * own).sum(axis=0)
        squares = squares + (counts[:, None] * own**2).sum(axis=0)
        spread = (np.maximum(squares, 0) + _SPREAD) / (count + _SPREAD)
        if np.abs(shares - before).max() < _SETTLED:
            break
    weight, bias = own / spread, np.log(shares) - (own**2 / spread).sum(axis=1) / 2
    return weight, bias, shares
