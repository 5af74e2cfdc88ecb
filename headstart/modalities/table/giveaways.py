"""Columns that are the label in disguise, which a new row may not know."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

_FEWEST: Final = 10  # rows, below which much looks like the label by chance
_SAME: Final = 0.9999  # correlation with the label from which on a column is the label


def giveaways(rows: Sequence[np.ndarray], targets: np.ndarray, names: Sequence[str]) -> list[str]:
    """Sentences on numbers of rows (D,), called `names`, that say targets by themselves."""
    if len(rows) < _FEWEST or not names:
        return []
    numbers = np.stack(rows).astype(np.float64)
    goals = targets.reshape(len(rows), -1).astype(np.float64)
    if targets.ndim == 1:  # class numbers: one mark each
        goals = (targets[:, None] == np.unique(targets)).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        scaled, ends = ((part - part.mean(0)) / part.std(0) for part in (numbers, goals))
        alike = np.abs(np.nan_to_num(scaled.T @ ends / len(rows))).max(axis=1)
    return [
        f"`{name}` says the label by itself (correlation {likeness:.4f}), which a new row may "
        "not know. Leave its column out with --drop if so."
        for name, likeness in zip(names, alike, strict=True)
        if likeness > _SAME
    ]
