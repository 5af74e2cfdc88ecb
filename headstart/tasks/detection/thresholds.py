"""From which score on boxes of a class are answers: where its F1 on validation is best."""

from __future__ import annotations

from typing import Final

import numpy as np

from headstart.contracts.boxes import matches

_USUAL: Final = 0.3  # where nothing is known of a class
_BOUNDS: Final = (0.02, 0.98)


def best(predictions: np.ndarray, targets: np.ndarray, number: int) -> float:
    """The score for class `number`, from boxes (N, K, 6) and truth (N, 1 + M, 5)."""
    own = (predictions[..., 5] == number) & (predictions[..., 4] > 0)
    every, hits = predictions[own, 4], matches(predictions, targets, np.array([0.5]))[own, 0] > 0
    there = int((targets[:, 1:, 4] == number).sum())
    if not there or not hits.any():
        return _USUAL
    order = np.argsort(-every, kind="stable")
    every, hit_counts = every[order], np.cumsum(hits[order])
    f1 = 2 * hit_counts / (np.arange(1, len(every) + 1) + there)
    place = int(f1.argmax())
    below = every[place + 1] if place + 1 < len(every) else 0.0
    return float(np.clip((every[place] + below) / 2, *_BOUNDS))
