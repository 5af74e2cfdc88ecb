"""Two domains as frozen features: labels in one, none in the other, and what links them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from headstart.contracts.logistic import (
    Layer,
    best_strength,
    class_mix,
    logistic,
    outputs_of,
    softmax,
)
from headstart.contracts.mixture import Mixture
from headstart.contracts.standardisation import Standardisation


@dataclass(frozen=True)
class Domains:
    """Features of a labelled source (S, D) and of an unlabelled target (T, D), float32.

    `targets` (S,) are the source's class numbers, of which there are `classes`, each at least once.
    No label of the target is here, so that none can reach a method. What is standardised is so by
    its own domain's statistics, unless it says otherwise.
    """

    source: np.ndarray
    targets: np.ndarray
    target: np.ndarray
    classes: int
    seed: int = 0

    @cached_property
    def source_scale(self) -> Standardisation:
        """The source's statistics. Raises DataError where features are not finite."""
        return Standardisation.of(self.source)

    @cached_property
    def target_scale(self) -> Standardisation:
        """The target's statistics. Raises DataError where features are not finite."""
        return Standardisation.of(self.target)

    @cached_property
    def inputs(self) -> np.ndarray:
        """The source's features, standardised, (S, D) float64."""
        return self.source_scale(self.source)

    @cached_property
    def outside(self) -> np.ndarray:
        """The target's features by the source's statistics, (T, D) float64."""
        return self.source_scale(self.target)

    @cached_property
    def inside(self) -> np.ndarray:
        """The target's features, standardised, (T, D) float64."""
        return self.target_scale(self.target)

    @cached_property
    def start(self) -> Layer:
        """Logistic regression on the source's standardised features."""
        return self.logistic(self.inputs)

    @cached_property
    def shares(self) -> np.ndarray:
        """How much of the source each class is, (classes,)."""
        return np.bincount(self.targets, minlength=self.classes) / len(self.targets)

    @cached_property
    def mixture(self) -> Mixture:
        """The source's classes as they are found in the standardised target."""
        return Mixture.of(self.start, self.inputs, self.targets, self.inside)

    @cached_property
    def aligned(self) -> tuple[np.ndarray, Standardisation]:
        """The target's shares of classes (classes,), and its statistics where they are so.

        Standardised by these, the target has the mean and spread that the source would have with
        the same shares: by its own statistics alone, a class that is not there counts as a shift.
        Finding both in turn would end where one class explains all.
        """
        probabilities = softmax(outputs_of(self.start, self.inside))
        mix = class_mix(probabilities, self.shares)
        return mix, self._mixed(mix, self.target_scale)

    def _mixed(self, mix: np.ndarray, own: Standardisation) -> Standardisation:
        weights = (mix / self.shares)[self.targets]
        weights = weights / weights.sum()
        mean = weights @ self.inputs
        spread = np.sqrt(weights @ (self.inputs - mean) ** 2)
        common = float(spread @ spread / max(spread.sum(), 1e-12))
        spread = np.sqrt((spread**2 + common**2) / 2)
        return Standardisation(own.mean - own.spread * mean / spread, own.spread / spread)

    def odds(self, features: np.ndarray, most: float = 10.0) -> np.ndarray:
        """How much likelier source features (N, D) are in the target, 1 on average, at most `most`.

        By a classifier of the domains (Bickel et al. 2009).
        """
        chances = softmax(outputs_of(self._apart, self.source_scale(features)))
        odds = chances[:, 1] / np.maximum(chances[:, 0], 1e-6)
        odds = np.minimum(odds / odds.mean(), most)
        return np.asarray(odds / odds.mean())

    @cached_property
    def _apart(self) -> Layer:
        both = np.concatenate([self.inputs, self.outside])
        which = np.repeat([0, 1], [len(self.inputs), len(self.outside)])
        return logistic(both, which, 2, len(which) / (2 * np.bincount(which)[which]))

    @cached_property
    def strength(self) -> float:
        """The regularisation that is best on held-out source items."""
        return best_strength(self.inputs, self.targets, self.classes)

    def logistic(self, inputs: np.ndarray, weights: np.ndarray | None = None) -> Layer:
        """Logistic regression from source items as these inputs (S, D), each counting so much."""
        return logistic(inputs, self.targets, self.classes, weights, self.strength)
