"""Which boxes answer for which objects, by how far they overlap: shared by task and metrics.

Boxes are (K, 6): corners, score, number of the class, 0 behind the last one. Objects are
(1 + M, 5): width, height and how many there are, then corners and class of each, -1 behind them.
"""

from __future__ import annotations

import numpy as np

MOST, NUMBERS = 100, 6  # boxes a picture, and numbers of each: corners, score, class
MISSED, FOUND, PASSED = 0, 1, -1


def overlaps(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of each of (A, 4) with each of (B, 4): (A, B)."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    both = _extent(low, high)
    areas = [_extent(each[:, :2], each[:, 2:]) for each in (boxes, others)]
    return np.asarray(both / np.maximum(areas[0][:, None] + areas[1][None] - both, 1e-12))


def _extent(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    sides = np.maximum(high - low, 0)
    return np.asarray(sides[..., 0] * sides[..., 1])


def matches(
    boxes: np.ndarray,
    truth: np.ndarray,
    thresholds: np.ndarray,
    area: tuple[float, float] = (0.0, np.inf),
) -> np.ndarray:
    """Whether each box finds an object at each overlap, as COCO counts it: (K, T).

    FOUND, MISSED, or PASSED where neither counts, as its object, or it, has another `area` in
    pixels. Of a class the surest box chooses first, and takes the object it overlaps most.
    """
    matched = np.full((len(boxes), len(thresholds)), MISSED, dtype=np.int8)
    pixels = float(max(truth[0, :2])) ** 2
    objects = truth[1:][truth[1:, 4] >= 0]
    passed = _outside(objects, pixels, area)
    for number in np.unique(boxes[boxes[:, 4] > 0, 5]):
        places = np.flatnonzero((boxes[:, 5] == number) & (boxes[:, 4] > 0))
        places = places[np.argsort(-boxes[places, 4], kind="stable")]
        own = np.flatnonzero(objects[:, 4] == number)
        own = own[np.argsort(passed[own], kind="stable")]  # those that count go first
        part = _of_class(boxes[places], objects[own], passed[own], thresholds)
        outside = _outside(boxes[places], pixels, area)
        part[(part == MISSED) & outside[:, None]] = PASSED
        matched[places] = part
    return matched


def _outside(boxes: np.ndarray, pixels: float, area: tuple[float, float]) -> np.ndarray:
    sides = boxes[:, 2:4] - boxes[:, :2]
    own = sides[:, 0] * sides[:, 1] * pixels
    return np.asarray((own < area[0]) | (own > area[1]))


def counted(truth: np.ndarray, area: tuple[float, float] = (0.0, np.inf)) -> np.ndarray:
    """The class of each object (M,), -1 behind the last one and where its area is another."""
    kinds = truth[1:, 4].copy()
    kinds[_outside(truth[1:], float(max(truth[0, :2])) ** 2, area)] = -1
    return kinds


def _of_class(
    boxes: np.ndarray, objects: np.ndarray, passed: np.ndarray, thresholds: np.ndarray
) -> np.ndarray:
    matched = np.full((len(boxes), len(thresholds)), MISSED, dtype=np.int8)
    if not len(objects):
        return matched
    overlap = overlaps(boxes[:, :4], objects[:, :4])
    free = np.ones((len(thresholds), len(objects)), dtype=bool)
    least = np.minimum(thresholds, 1 - 1e-10)[:, None]
    for place in np.flatnonzero(overlap.max(axis=1) >= thresholds.min()):
        open_ones = free & (overlap[place] >= least)
        counts = open_ones & ~passed
        choice = np.where(counts.any(axis=1)[:, None], counts, open_ones)
        rows = np.flatnonzero(choice.any(axis=1))
        best = np.where(choice[rows], overlap[place], -1.0).argmax(axis=1)
        free[rows, best] = False
        matched[place, rows] = np.where(passed[best], PASSED, FOUND)
    return matched
