"""Sets of labels and ranges of numbers that hold the truth in nine of ten cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, Final, final

import numpy as np

LEVEL: Final = 0.9


def p_values(reference: np.ndarray, new: np.ndarray) -> np.ndarray:
    """The share of scores at least as large, (M,), of new ones (M,) among known (N,) and itself.

    For a score that is drawn as the known ones are it is below a with probability at most a,
    whatever they are distributed like (Vovk et al. 2005).
    """
    ordered = np.sort(reference)
    above = len(ordered) - np.searchsorted(ordered, new, side="left")
    return np.asarray((1 + above) / (1 + len(ordered)))


def threshold(scores: np.ndarray, level: float = LEVEL) -> float | None:
    """What the score of another item stays below with probability `level`.

    The ceil((N + 1) level)-th smallest of N scores; None where N are too few for such a one.
    """
    rank = ceil((len(scores) + 1) * level - 1e-9)
    return float(np.partition(scores, rank - 1)[rank - 1]) if 0 < rank <= len(scores) else None


def fewest(level: float = LEVEL) -> int:
    """The items below which nothing can be said at this level."""
    return ceil(level / (1 - level) - 1e-9)


@final
@dataclass(frozen=True)
class Sets:
    """What to add to a model's answers so that they hold the truth with probability 0.9.

    Split conformal prediction over held-out items: of classes those whose probability is not below
    a limit, always the likeliest one (Sadinle et al. 2019), of numbers the range around the answer
    (Lei et al. 2018). The promise is over items drawn as the held-out ones were, all classes
    together. `limits` has one entry for classes and one for each number.
    """

    limits: tuple[float, ...]
    classes: bool

    @classmethod
    def of(cls, predictions: np.ndarray, targets: np.ndarray) -> Sets | None:
        """From predictions (N, labels) for held-out items and their targets.

        Targets (N,) are class numbers and predictions probabilities, or both are numbers (N, K).
        None where fewer than nine items are held out, which can't promise as much.
        """
        if targets.ndim == 1:
            scores = 1 - np.take_along_axis(predictions, targets[:, None], axis=1)
        else:
            scores = np.abs(predictions - targets)
        thresholds = [threshold(column) for column in scores.T.astype(np.float64)]
        limits = tuple(limit for limit in thresholds if limit is not None)
        return cls(limits, targets.ndim == 1) if limits else None

    def around(self, predictions: np.ndarray, labels: Sequence[str]) -> list[dict[str, Any]]:
        """For each of the predictions (M, labels) `set`, likeliest first, or `range` (low, high).

        Where there are several numbers `ranges` by name.
        """
        if self.classes:
            return [{"set": self._set(row, labels)} for row in predictions]
        low, high = predictions - np.array(self.limits), predictions + np.array(self.limits)
        rows = np.stack([low, high], axis=2).astype(float).tolist()
        if len(labels) == 1:
            return [{"range": row[0]} for row in rows]
        return [{"ranges": dict(zip(labels, row, strict=True))} for row in rows]

    def _set(self, chances: np.ndarray, labels: Sequence[str]) -> list[str]:
        order = np.argsort(-chances, kind="stable")
        inside = 1 - chances[order] <= self.limits[0]
        return [labels[place] for place in order[: max(1, int(inside.sum()))].tolist()]
