"""Near copies by features: held-out items that the network can't tell from one learned from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headstart.data import Item

NEAR = 0.996  # cosine
_CENTRED = 0.98  # the same without what all features share, which is most of it in weak networks
_BLOCK = 2**24  # cosines at once: 64 MiB


def near(held: np.ndarray, learned: np.ndarray, threshold: float = NEAR) -> np.ndarray:
    """Pairs of rows (P, 2), of `held` (M, D) and the `learned` (N, D) that is nearest to it.

    They are those with a cosine of at least the threshold, and nearly that about the mean of what
    was learned from, so that features that all point one way are near to none.
    """
    if not len(held) or not len(learned):
        return np.empty((0, 2), dtype=np.intp)
    units, middle = _units(learned), learned.mean(axis=0)
    step = max(1, _BLOCK // len(learned))
    best = np.concatenate(
        [(_units(held[n : n + step]) @ units.T).argmax(axis=1) for n in range(0, len(held), step)]
    )
    cosines = (_units(held) * units[best]).sum(axis=1)
    centred = (_units(held - middle) * _units(learned[best] - middle)).sum(axis=1)
    places = np.flatnonzero((cosines >= threshold) & (centred >= _CENTRED))
    return np.stack([places, best[places]], axis=1)


def near_said(
    held: tuple[Sequence[Item], np.ndarray], learned: tuple[Sequence[Item], np.ndarray]
) -> str:
    """A sentence on held-out items that are near copies of ones learned from; empty without any.

    Each is items and their features.
    """
    pairs = near(held[1], learned[1])
    if not len(pairs):
        return ""
    one, other = held[0][pairs[0, 0]], learned[0][pairs[0, 1]]
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
