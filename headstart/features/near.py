"""Near copies by features: held-out items that the network can't tell from one learned from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headstart.data import Item

NEAR = 0.996  # cosine
_CENTRED = 0.98  # the same without what all features share, which is most of it in weak networks
_BLOCK = 2**24  # cosines at once: 64 MiB


def near(held_out: np.ndarray, train: np.ndarray, threshold: float = NEAR) -> np.ndarray:
    """Pairs of rows (P, 2), of `held_out` (M, D) and the `train` (N, D) that is nearest to it.

    They are those with a cosine of at least the threshold, and nearly that about the mean of what
    was learned from, so that features that all point one way are near to none.
    """
    if not len(held_out) or not len(train):
        return np.empty((0, 2), dtype=np.intp)
    units, middle = _units(train), train.mean(axis=0)
    step = max(1, _BLOCK // len(train))
    best = np.concatenate(
        [
            (_units(held_out[n : n + step]) @ units.T).argmax(axis=1)
            for n in range(0, len(held_out), step)
        ]
    )
    cosines = (_units(held_out) * units[best]).sum(axis=1)
    centred = (_units(held_out - middle) * _units(train[best] - middle)).sum(axis=1)
    places = np.flatnonzero((cosines >= threshold) & (centred >= _CENTRED))
    return np.stack([places, best[places]], axis=1)


def near_said(
    held_out: tuple[Sequence[Item], np.ndarray], train: tuple[Sequence[Item], np.ndarray]
) -> str:
    """A sentence on held-out items that are near copies of ones learned from; empty without any.

    Each is items and their features.
    """
    pairs = near(held_out[1], train[1])
    if not len(pairs):
        return ""
    one, other = held_out[0][pairs[0, 0]], train[0][pairs[0, 1]]
    what = (
        "1 held-out item is a near copy"
        if len(pairs) == 1
        else (f"{len(pairs)} held-out items are near copies")
    )
    return (
        f"{what} (cosine of features at least {NEAR}) of what was learned from, such as "
        f"{one.id!r} of {other.id!r}: what is measured on them may flatter."
    )


def _units(features: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return np.asarray(features / np.maximum(lengths, np.finfo(np.float32).tiny))
