"""Nested subsets in which every label keeps its share: for learning curves and first looks."""

from __future__ import annotations

import numpy as np

_BINS = 10  # strata that numbers are cut into, by rank


def nested(targets: np.ndarray, seed: int = 0) -> np.ndarray:
    """An order of the positions (N,) of which every beginning holds each label in its share.

    `targets` are class numbers (N,), label sets or numbers (N, outputs); a set counts as a label of
    its own, and numbers by the tenth that the first one falls into. Of two beginnings the shorter
    lies in the longer one, whatever their lengths.
    """
    stratum_of = strata(targets)
    rng = np.random.default_rng(seed)
    place = np.empty(len(stratum_of))
    for stratum in np.unique(stratum_of):
        own = np.flatnonzero(stratum_of == stratum)
        place[rng.permutation(own)] = (np.arange(len(own)) + rng.random()) / len(own)
    return np.argsort(place, kind="stable")


def strata(targets: np.ndarray) -> np.ndarray:
    """What each of N targets belongs to that keeps its share: (N,), as `nested` says."""
    if targets.ndim == 1:
        return targets
    if np.isin(targets, (0.0, 1.0)).all():
        return np.unique(targets, axis=0, return_inverse=True)[1].ravel()
    ranks = np.argsort(np.argsort(targets[:, 0], kind="stable"), kind="stable")
    return np.asarray(ranks * _BINS // len(targets))
