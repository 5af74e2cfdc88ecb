"""Whether a detector in another form finds the boxes that the saved model finds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from headstart.contracts.boxes import overlaps
from headstart.forms.form import BOXES, LABELS, SCORES

ANSWER: Final = 0.5  # score from which a box is one
CLOSE: Final = 1e-3  # of a picture's longer side, and of a score
_SAME: Final = 0.9  # overlap from which two boxes are taken for one


def rows_of(answers: Mapping[str, np.ndarray]) -> np.ndarray:
    """What a form answers as boxes (N, K, 6): corners, score, class."""
    scores, labels = (answers[name][..., None] for name in (SCORES, LABELS))
    return np.concatenate([answers[BOXES], scores, labels], axis=2, dtype=np.float32)


def moved(answers: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """By how much the boxes of each picture differ, (N,): infinite where one is missing.

    Of boxes (N, K, 6) those that are answers are compared: the largest change of a corner or a
    score. One whose score lies within 1e-3 of the threshold may be missing.
    """
    pairs = zip(answers, expected, strict=True)
    return np.array([max(_gap(own, other), _gap(other, own)) for own, other in pairs])


def _gap(boxes: np.ndarray, others: np.ndarray) -> float:
    """The largest change from any of the boxes to the other that it is taken for."""
    sure = boxes[boxes[:, 4] >= ANSWER]
    candidates = others[others[:, 4] >= ANSWER - CLOSE]
    largest = 0.0
    for box in sure:
        alike = candidates[candidates[:, 5] == box[5]]
        between = overlaps(box[None, :4], alike[:, :4])[0]
        close = np.abs(alike - box).max(axis=1) <= CLOSE  # boxes without an area overlap nothing
        near = alike[(between >= _SAME) | close]
        if len(near):
            largest = max(largest, float(np.abs(near - box).max(axis=1).min()))
        elif box[4] > ANSWER + CLOSE or not np.isfinite(box).all():
            return float("inf")
    return largest if np.isfinite(boxes).all() else float("inf")
