"""Whether the items that data hold out are like those that are learned from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np

from headstart.drift import two_sample
from headstart.drift.reference import chosen
from headstart.drift.shift import FEWEST
from headstart.drift.two_sample import Test

_ROUNDS: Final = 199
_DOUBTED: Final = 0.01  # p-value
_NOTABLE: Final = 0.65  # AUC; a smaller shift moves accuracy by hardly anything


@final
@dataclass(frozen=True)
class Apart:
    """How far test items are from training items: the AUC of a classifier that tells them apart.

    `has_test_split` says whether the data name the test items; else they were drawn, by whole
    groups where there are any.
    """

    test: Test
    has_test_split: bool

    @property
    def sentence(self) -> str:
        """The finding in a sentence."""
        return (
            "A classifier of their features tells test items from training items with an AUC of "
            f"{self.test.effect:.2f} (.5 is not at all; p {self.test.p:.3f})."
        )

    @property
    def doubt(self) -> str:
        """A warning where they are told apart, at 1 %; empty where they are alike."""
        if self.test.p > _DOUBTED or self.test.effect < _NOTABLE:
            return ""
        those = "that the data name " if self.has_test_split else ""
        return (
            f"The test items {those}differ from the training items: a classifier of their "
            f"features tells them apart with an AUC of {self.test.effect:.2f} (.5 is not at all). "
            "What is measured holds for items like the test items."
        )

    def to_json(self) -> dict[str, Any]:
        """{"auc", "p", "said"}; the last is empty where there is a warning instead."""
        numbers = {"auc": round(self.test.effect, 5), "p": round(self.test.p, 5)}
        return numbers | {"said": "" if self.doubt else self.sentence}


def apart(train: np.ndarray, test: np.ndarray, has_test_split: bool) -> Apart | None:
    """Features (N, D) and (M, D) compared by a permutation test; None where either are too few."""
    if min(len(train), len(test)) < FEWEST:
        return None
    first, second = (part[chosen(len(part))] for part in (train, test))
    rows = two_sample.standardised(first, second)
    tested = np.arange(len(rows)) >= len(first)
    outcome, _ = two_sample.told_apart(rows, tested, np.random.default_rng(0), _ROUNDS)
    return Apart(outcome, has_test_split)
