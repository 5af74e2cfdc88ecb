"""Other ways to look at the same streams: windows of a hundred, each tested as is usual."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from scipy.stats import kstwobign

from benchmarks.drift.streams import Stream
from headstart.drift.two_sample import kernel, mmd, standardised

WINDOW: Final = 100
LEVEL: Final = 0.05
_ROUNDS: Final = 100


def ks(reference: np.ndarray, window: np.ndarray, rng: np.random.Generator) -> bool:
    """Kolmogorov and Smirnov's test of each feature, at 5 % over all of them (Bonferroni)."""
    rows = np.concatenate([reference, window])
    order = np.argsort(rows, axis=0, kind="stable")
    first, second = len(reference), len(window)
    steps = np.where(order < first, 1 / first, -1 / second)
    effects = np.abs(np.cumsum(steps, axis=0)).max(axis=0)
    chances = kstwobign.sf(effects * (first * second / (first + second)) ** 0.5)
    return bool(chances.min() * len(chances) <= LEVEL)


def plain_mmd(reference: np.ndarray, window: np.ndarray, rng: np.random.Generator) -> bool:
    """The maximum mean discrepancy at 5 %, by a hundred permutations."""
    rows = standardised(reference, window)
    second = np.arange(len(rows)) >= len(reference)
    return mmd(kernel(rows), second, rng, _ROUNDS).p <= LEVEL


DETECTORS: Final[Mapping[str, Callable[[np.ndarray, np.ndarray, np.random.Generator], bool]]] = {
    "KS": ks,
    "MMD": plain_mmd,
}


def looked_at(stream: Stream, name: str) -> dict[str, Any]:
    """When the first alarm comes after the drift, or whether one came before."""
    reference = stream.model.reference.features.astype(np.float32)
    rng = np.random.default_rng(0)
    for after in range(WINDOW, len(stream.rows) + 1, WINDOW):
        if DETECTORS[name](reference, stream.rows[after - WINDOW : after], rng):
            early = after <= stream.begins
            return {"delay": None if early else after - stream.begins, "early": early}
    return {"delay": None, "early": False}
