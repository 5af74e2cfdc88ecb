"""Whether the items that data hold out themselves are like those that are learned from."""

from __future__ import annotations

from typing import Final

import numpy as np

from headstart.drift import two_sample
from headstart.drift.reference import chosen
from headstart.drift.shift import FEWEST

_ROUNDS: Final = 199
_DOUBTED: Final = 0.01  # p-value
_NOTABLE: Final = 0.65  # AUC; a smaller shift moves accuracy by hardly anything


def doubt(train: np.ndarray, test: np.ndarray) -> str:
    """A warning where features (N, D) and (M, D) are told apart, empty where they are alike.

    By the classifier's permutation test at 1 %. Splits drawn at random need no such test.
    """
    if min(len(train), len(test)) < FEWEST:
        return ""
    first, second = (part[chosen(len(part))] for part in (train, test))
    rows = two_sample.standardised(first, second)
    tested = np.arange(len(rows)) >= len(first)
    found, _ = two_sample.told_apart(rows, tested, np.random.default_rng(0), _ROUNDS)
    if found.p > _DOUBTED or found.effect < _NOTABLE:
        return ""
    return (
        "The test items that the data name differ from the training items: a classifier of their "
        f"features tells them apart with an AUC of {found.effect:.2f} (.5 is not at all). What is "
        "measured holds for items like the test items."
    )
