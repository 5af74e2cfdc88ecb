"""A stream of which the answers alone are known: probabilities, and perhaps how familiar."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from headstart.drift.conformal import p_values
from headstart.drift.familiarity import Familiarity
from headstart.drift.reference import Reference

_EDGE: Final = 1e-3  # familiarity beyond which all are as strange, or as usual
_SCALE: Final = 4.0  # of familiarity in standard deviations, as large as probabilities then
_LEAST: Final = 1e-6


def answers_of(chances: np.ndarray, familiarity: np.ndarray | None) -> np.ndarray:
    """What is watched in the place of features, (M, labels or one more).

    Roots of the probabilities (M, labels), whose distance is Hellinger's, and familiarity (M,) on
    the scale of the normal distribution.
    """
    from scipy.special import ndtri

    roots = np.sqrt(chances)
    if familiarity is None:
        return np.asarray(roots, np.float32)
    usual = ndtri(np.clip(familiarity, _EDGE, 1 - _EDGE)) / _SCALE
    return np.concatenate([roots, usual[:, None]], axis=1).astype(np.float32)


def as_answers(reference: Reference, predictions: np.ndarray, familiarity: bool) -> Reference:
    """Held-out items as a log of their answers would show them.

    `predictions` (N, labels) are probabilities. Each item's familiarity is among the others.
    """
    usual = None
    if familiarity:
        distances = Familiarity(reference).held_out_distances
        usual = p_values(distances, distances) - 1 / (1 + len(distances))  # without itself
    chances = np.maximum(predictions, _LEAST)
    return replace(
        reference,
        features=answers_of(chances, usual),
        outputs=np.log(chances).astype(np.float32),
    )
