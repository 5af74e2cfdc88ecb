"""Logistic regression on several samples of the same items at once, along a path of strengths."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from headstart.contracts.standardisation import blocks, principal_axes
from headstart.runtime.machine import threads_for
from headstart.tasks.classification import probe

_COARSE = 1e-5, 50  # change of the loss, and steps, at which what a fold answers is settled
_FINE = 1e-6, 200  # and those of the layer that is handed over
_RAREST = 1e-3  # variance of a membership, below which it is no scale for a search

# From outputs (N, F, K) and memberships (N, 1, K), losses (N, F); outputs become the errors.
Loss = Callable[[np.ndarray, np.ndarray], np.ndarray]


def softmax(outputs: np.ndarray, memberships: np.ndarray) -> np.ndarray:
    """Cross-entropy where exactly one label is right."""
    outputs -= outputs.max(axis=2, keepdims=True)
    own = (outputs * memberships).sum(axis=2)
    np.exp(outputs, out=outputs)
    total = outputs.sum(axis=2)
    outputs /= total[:, :, None]
    outputs -= memberships
    return np.asarray(np.log(total) - own)


def sigmoid(outputs: np.ndarray, memberships: np.ndarray) -> np.ndarray:
    """Cross-entropy where each label is right or not, summed over the labels."""
    from scipy.special import expit

    losses = (np.logaddexp(0, outputs) - outputs * memberships).sum(axis=2)
    expit(outputs, out=outputs)
    outputs -= memberships
    return np.asarray(losses)


@dataclass(frozen=True)
class Regression:
    """Inputs (N, D) with memberships (N, labels) of 0 and 1, how much items count, and the loss.

    The inputs stand on their principal axes, on which the loss is about as steep one way as
    another once each is scaled, so that few steps of L-BFGS (Liu and Nocedal 1989) are enough.
    Labels that no item has, or all have, are not fitted: they never or always win.
    """

    inputs: np.ndarray
    lengths: np.ndarray
    directions: np.ndarray
    memberships: np.ndarray
    counts: np.ndarray
    loss: Loss

    @classmethod
    def of(
        cls, inputs: np.ndarray, memberships: np.ndarray, counts: np.ndarray, loss: Loss
    ) -> Regression:
        """That of inputs as they are, which are overwritten where that saves the room of a copy."""
        with threads_for(inputs.size):
            lengths, directions = principal_axes(inputs)
            whole = len(lengths) == inputs.shape[1]
            turned = inputs if whole else np.empty((len(inputs), len(lengths)), inputs.dtype)
            for rows in blocks(inputs):
                turned[rows] = inputs[rows] @ directions
        return cls(turned, lengths, directions, memberships, counts, loss)

    def held_out(self, folds: np.ndarray) -> Iterator[np.ndarray]:
        """For each strength the outputs (M, labels) for held-out items by a fit on the others.

        In single precision; each strength starts from the one before.
        """
        rough = replace(self, inputs=self.inputs.astype(np.float32, copy=False))
        fitted = self._fitted()
        samples = np.where(folds, 0.0, self.counts).T
        coefficients = np.zeros((len(self.lengths) + 1, len(folds), int(fitted.sum())))
        for strength in probe.PROBE_STRENGTHS:
            coefficients = rough._minimised(samples, strength, coefficients, _COARSE)
            outputs = np.zeros((len(self.inputs), coefficients.shape[2]))
            for number, fold in enumerate(folds):
                outputs[fold] = (
                    self.inputs[fold] @ coefficients[:-1, number] + coefficients[-1, number]
                )
            yield self._whole(outputs[folds.any(axis=0)])

    def solution(self, strength: float) -> tuple[np.ndarray, np.ndarray]:
        """Weight (labels, D) and bias (labels,) fitted to all items."""
        fitted = self._fitted()
        start = np.zeros((len(self.lengths) + 1, 1, int(fitted.sum())))
        coefficients = self._minimised(self.counts[:, None], strength, start, _FINE)[:, 0]
        weight = np.zeros((len(fitted), len(self.directions)))
        with threads_for(self.inputs.size):
            weight[fitted] = (self.directions @ coefficients[:-1]).T
        return weight, self._whole(coefficients[None, -1])[0]

    def _fitted(self) -> np.ndarray:
        share = self.memberships.mean(axis=0)
        return np.asarray((share > 0) & (share < 1))

    def _whole(self, outputs: np.ndarray) -> np.ndarray:
        """Outputs for all labels from those for the labels that are fitted."""
        sure = np.where(self.memberships.any(axis=0), probe.SURE, -probe.SURE)
        whole = np.tile(sure, (len(outputs), 1))
        whole[:, self._fitted()] = outputs
        return whole

    def _minimised(
        self, samples: np.ndarray, strength: float, start: np.ndarray, until: tuple[float, int]
    ) -> np.ndarray:
        """Weights and last the bias of each sample, (R + 1, F, K), that lose least.

        `samples` (N, F) says how much each item counts in each.
        """
        from scipy.optimize import minimize

        memberships = self.memberships[:, self._fitted()]
        if not memberships.shape[1]:
            return start
        kind, shape = self.inputs.dtype, (len(start), -1)
        scale = self._scale(memberships, strength)
        scale = np.tile(scale[:, None], (1, start.shape[1], 1)).reshape(shape).astype(kind)
        total = samples.sum()
        samples, memberships = samples.astype(kind), memberships[:, None].astype(kind)

        def value(point: np.ndarray) -> tuple[float, np.ndarray]:
            layer = point.astype(kind).reshape(shape) * scale
            outputs = self.inputs @ layer[:-1] + layer[-1]
            errors = outputs.reshape(*samples.shape, -1)
            lost = (self.loss(errors, memberships) * samples).sum(dtype=np.float64)
            errors *= samples[:, :, None]
            slope = np.empty_like(layer)
            slope[:-1] = self.inputs.T @ outputs + layer[:-1] / kind.type(strength)
            slope[-1] = outputs.sum(axis=0)
            lost += (layer[:-1] ** 2).sum(dtype=np.float64) / (2 * strength)
            return lost / total, (slope * scale).ravel().astype(np.float64) / total

        change, steps = until
        settings = {"maxiter": steps, "ftol": change, "gtol": change}
        point = (start.reshape(shape) / scale).ravel()
        with threads_for(self.inputs.size):
            done = minimize(value, point, jac=True, method="L-BFGS-B", options=settings)
        return np.asarray((done.x.reshape(shape) * scale).reshape(start.shape), dtype=np.float64)

    def _scale(self, memberships: np.ndarray, strength: float) -> np.ndarray:
        """How far each weight and bias may move at a time, (R + 1, K).

        One over the root of the loss's curvature where all outputs are the labels' frequencies.
        """
        share = np.average(memberships, axis=0, weights=self.counts)
        steep = np.maximum(share * (1 - share), _RAREST)
        weights = self.counts.mean() * self.lengths[:, None] * steep + 1 / strength
        return np.asarray(1 / np.sqrt(np.vstack([weights, self.counts.sum() * steep])))
