"""The source's features coloured like the target's."""

from __future__ import annotations

from typing import final

import numpy as np
from torch import nn

from headstart.contracts.adaptation import Adaptation
from headstart.contracts.domains import Domains


@final
class Coral(Adaptation):
    """A classifier of source features whose mean and covariance were made those of the target.

    Covariances are shrunk by `shrinkage` towards a sphere of the same size.

    Reference: Sun et al. 2016 (CORAL).
    Use when: features are correlated otherwise in the target, and it holds the same classes.
    """

    def __init__(self, shrinkage: float = 0.1) -> None:
        self.shrinkage = shrinkage

    def head(self, domains: Domains) -> nn.Linear:
        """Logistic regression on the recoloured source."""
        source, target = domains.inputs, domains.outside
        whitened = source @ self._root(source, -0.5)
        coloured = whitened @ self._root(target, 0.5) + target.mean(axis=0)
        return domains.source_scale.folded(*domains.logistic(coloured))

    def _root(self, inputs: np.ndarray, power: float) -> np.ndarray:
        """A power of the covariance of inputs (N, D), shrunk."""
        covariance = np.cov(inputs.T)
        sphere = np.trace(covariance) / len(covariance)
        lengths, axes = np.linalg.eigh(covariance)
        lengths = (1 - self.shrinkage) * np.maximum(lengths, 0) + self.shrinkage * sphere
        return np.asarray((axes * lengths**power) @ axes.T)
