"""The source's features coloured like the target's."""

from __future__ import annotations

from typing import final

import numpy as np
from torch import nn

from headstart.contracts.adaptation import Adaptation
from headstart.contracts.domains import Domains
from headstart.contracts.standardisation import principal_axes


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
        whitened = self._by_root(source, source, -0.5)
        coloured = self._by_root(whitened, target, 0.5) + target.mean(axis=0)
        return domains.source_scale.folded(*domains.logistic(coloured))

    def _by_root(self, rows: np.ndarray, inputs: np.ndarray, power: float) -> np.ndarray:
        """Rows (M, D) times a power of the covariance of inputs (N, D), shrunk.

        Off the axes that inputs span it is the sphere's alone.
        """
        centred = inputs - inputs.mean(axis=0)
        lengths, axes = principal_axes(centred)
        lengths = lengths / max(len(inputs) - 1, 1)
        sphere = max(self.shrinkage * lengths.sum() / inputs.shape[1], 1e-12)
        along = ((1 - self.shrinkage) * lengths + sphere) ** power - sphere**power
        return np.asarray(sphere**power * rows + ((rows @ axes) * along) @ axes.T)
