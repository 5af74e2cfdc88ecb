"""How familiar an input is: its distance from held-out items, as a conformal p-value."""

from __future__ import annotations

from functools import cached_property
from typing import Final, final

import numpy as np

from headstart.drift.conformal import p_values
from headstart.drift.reference import Reference

NEIGHBOURS: Final = 3
_AT_ONCE: Final = 1024  # inputs whose distances are in memory


@final
class Familiarity:
    """A p-value for each input: the share of usual inputs that are as far out as it is.

    How far out it is says the mean cosine distance of its features from the three nearest held-out
    items (k-NN, Sun et al. 2022); where the model answers with classes, less the largest output
    (Hendrycks et al. 2022), each in standard deviations over the held-out items. Distances see
    other worlds, outputs see new classes of the same world. Among held-out items each is measured
    against the others (Vovk et al. 2005; leaving one out makes it very nearly exact), so that at
    most about a of all usual inputs have a value of a or less.
    """

    def __init__(self, reference: Reference) -> None:
        self.reference = reference

    @property
    def least(self) -> float:
        """The smallest value that there can be."""
        return 1 / (1 + len(self.reference))

    def __call__(self, features: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        """The p-value of each input, (M,), from its features (M, D) and outputs (M, labels)."""
        return p_values(self.held_out_distances, self.distances(features, outputs))

    def distances(self, features: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        """How far out inputs are, (M,), with a mean of 0 over the held-out items."""
        starts = range(0, len(features), _AT_ONCE)
        rows = [self._near(features[start : start + _AT_ONCE]) for start in starts]
        return self._joined(np.concatenate([np.empty(0), *rows]), _surprise(outputs))

    @cached_property
    def held_out_distances(self) -> np.ndarray:
        """How far out each held-out item is, (N,), measured against all others."""
        near, surprise = self._own
        return self._joined(near, surprise)

    def _joined(self, near: np.ndarray, surprise: np.ndarray) -> np.ndarray:
        own_near, own_surprise = self._own
        total = _standard(near, own_near)
        if self.reference.answers_classes:
            total = total + _standard(surprise, own_surprise)
        return total

    @cached_property
    def _own(self) -> tuple[np.ndarray, np.ndarray]:
        alike = self._directions @ self._directions.T
        np.fill_diagonal(alike, -np.inf)
        return _mean_distance(alike, len(alike) - 1), _surprise(self.reference.outputs)

    @cached_property
    def _directions(self) -> np.ndarray:
        return _directions(self.reference.features)

    def _near(self, features: np.ndarray) -> np.ndarray:
        return _mean_distance(_directions(features) @ self._directions.T, len(self.reference))


def _mean_distance(alike: np.ndarray, others: int) -> np.ndarray:
    """One minus the mean similarity to the nearest, (M,), of similarities (M, N)."""
    count = min(NEIGHBOURS, others)
    if count == 0:
        return np.zeros(len(alike))
    nearest = np.partition(alike, alike.shape[1] - count, axis=1)[:, -count:]
    return np.asarray(1 - nearest.mean(axis=1, dtype=np.float64))


def _surprise(outputs: np.ndarray) -> np.ndarray:
    return np.asarray(-outputs.max(axis=1), dtype=np.float64)


def _standard(values: np.ndarray, own: np.ndarray) -> np.ndarray:
    return np.asarray((values - own.mean()) / (own.std() or 1.0))


def _directions(rows: np.ndarray) -> np.ndarray:
    wide = rows.astype(np.float32)
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    return np.asarray(wide / np.where(lengths > 0, lengths, 1.0))
