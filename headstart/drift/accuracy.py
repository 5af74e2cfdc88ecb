"""What accuracy to expect of new items without their labels, as a range."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np

from headstart.drift.limits import UNFAMILIAR

_NORMAL = 1.959964  # standard deviations that hold 95 %


@final
@dataclass(frozen=True)
class Expected:
    """A range for the accuracy on new items, from estimates that fail for different reasons.

    `estimates` by name; `held_out` is the accuracy on the items that they rest on; `unfamiliar` the
    share of new items that are unlike any of these, beyond the one in twenty that always is.
    """

    low: float
    high: float
    held_out: float
    unfamiliar: float
    estimates: dict[str, float]

    @property
    def outside(self) -> bool:
        """Whether so many items are unlike anything seen that estimates are a guess."""
        return self.unfamiliar > 0.25  # beyond it estimates were off by more than 10 points

    def to_json(self) -> dict[str, Any]:
        """Everything as plain values."""
        numbers = {name: round(float(value), 5) for name, value in self.estimates.items()}
        return {
            "low": round(self.low, 5),
            "high": round(self.high, 5),
            "held_out": round(self.held_out, 5),
            "unfamiliar": round(self.unfamiliar, 5),
            "outside": self.outside,
            "estimates": numbers,
        }


def expected(
    held_out: tuple[np.ndarray, np.ndarray], new: np.ndarray, familiarity: np.ndarray
) -> Expected:
    """From probabilities (N, labels) of held-out items with their targets, and of new items.

    Average thresholded confidence (Garg et al. 2022) is right where the shift is mild, and too
    hopeful where it is not; mean confidence, and its difference added to the accuracy (Guillory et
    al. 2021), err otherwise. The pessimist takes answers about items whose `familiarity` (M,) is
    at most .05, beyond one in twenty, for guesses. The range spans all, and the error of a mean
    over so many items on either side.
    """
    chances, targets = held_out
    right = chances.argmax(axis=1) == targets
    sure, sure_now = chances.max(axis=1), new.max(axis=1)
    accuracy = float(right.mean())
    limit = np.quantile(sure, 1 - accuracy, method="higher") if accuracy < 1 else sure.min()
    thresholded = float((sure_now >= limit).mean())
    strange = max(0.0, (float((familiarity <= UNFAMILIAR).mean()) - UNFAMILIAR) / (1 - UNFAMILIAR))
    change = float(sure_now.mean() - sure.mean())
    confident = float(sure_now.mean())
    usual = min(thresholded, confident, accuracy)
    estimates = {
        "thresholded confidence": thresholded,
        "mean confidence": confident,
        "difference of confidence": min(1.0, max(0.0, accuracy + change)),
        "unfamiliar ones guessed": (1 - strange) * usual + strange / new.shape[1],
    }
    spread = max(accuracy * (1 - accuracy), 0.25 / len(right)) * (1 / len(right) + 1 / len(new))
    error = _NORMAL * float(spread**0.5)
    low, high = min(estimates.values()) - error, max(estimates.values()) + error
    return Expected(max(0.0, low), min(1.0, high), accuracy, strange, estimates)
