"""Folds: what may be learned from, shared out anew, so that every item is once held back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from headstart.data.dataset import Dataset
from headstart.data.subsets import nested

_LEARNED = ("train", "validation")


def refolded(dataset: Dataset, fold: int, folds: int) -> Dataset:
    """The data set with one of `folds` equal parts for validation and the others for training.

    The test items are left out. Each label keeps its share in every part, and identical items stay
    together.
    """
    first: dict[str, int] = {}
    for place, item in enumerate(dataset.items):
        if item.split in _LEARNED:
            first.setdefault(item.identity, place)
    names = list(first)
    targets = _targets(dataset, [first[name] for name in names])
    fold_of = {names[place]: rank % folds for rank, place in enumerate(nested(targets).tolist())}
    items = tuple(
        replace(item, split="validation" if fold_of[item.identity] == fold else "train")
        for item in dataset.items
        if item.split in _LEARNED
    )
    return replace(dataset, items=items)


def _targets(dataset: Dataset, places: list[int]) -> np.ndarray:
    """What to predict for items by their place, in that order."""
    rows: dict[int, np.ndarray] = {}
    for split in _LEARNED:
        own = [place for place, item in enumerate(dataset.items) if item.split == split]
        rows |= dict(zip(own, dataset.targets(split), strict=True))
    return np.stack([rows[place] for place in places])
