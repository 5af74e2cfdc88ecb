"""Which boxes answer for which objects, by how far they overlap: shared by task and metrics.

Boxes are (K, 6): corners, score, number of the class, 0 behind the last one. Objects are
(1 + M, 5): width, height and how many there are, then corners and class of each, -1 behind them.
"""

from __future__ import annotations

from math import prod

import numpy as np

MOST, NUMBERS = 100, 6  # boxes a picture, and numbers of each: corners, score, class
MISSED, FOUND, PASSED = 0, 1, -1
BOX_FORMS = (  # for messages
    "COCO JSON, Pascal VOC XML, YOLO, KITTI or WIDER FACE text files, CVAT XML, JSON of LabelMe or "
    "the VGG Image Annotator, or a table with one box a row"
)
_HELD = 4_000_000  # pairs of a box or an overlap with an object, at a time


def overlaps(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of each of (..., A, 4) with each of (..., B, 4): (..., A, B)."""
    low = np.maximum(boxes[..., :, None, :2], others[..., None, :, :2])
    high = np.minimum(boxes[..., :, None, 2:], others[..., None, :, 2:])
    both = _extent(low, high)
    one, other = (_extent(each[..., :2], each[..., 2:]) for each in (boxes, others))
    return np.asarray(both / np.maximum(one[..., :, None] + other[..., None, :] - both, 1e-12))


def _extent(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    sides = np.maximum(high - low, 0)
    return np.asarray(sides[..., 0] * sides[..., 1])


def matches(
    boxes: np.ndarray,
    truth: np.ndarray,
    thresholds: np.ndarray,
    area: tuple[float, float] = (0.0, np.inf),
) -> np.ndarray:
    """Whether each box finds an object at each overlap, as COCO counts it: (..., K, T).

    Boxes (..., K, 6) and objects (..., 1 + M, 5) are those of a picture, or of many.
    FOUND, MISSED, or PASSED where neither counts, as its object, or it, has another `area` in
    pixels. Of a class the surest box chooses first, and takes the object it overlaps most.
    """
    pictures, most = prod(boxes.shape[:-2]), boxes.shape[-2]
    rows = boxes.reshape(pictures, most, NUMBERS)
    truths = truth.reshape(pictures, *truth.shape[-2:])
    step = max(1, _HELD // (truth.shape[-2] * (most + len(thresholds))))
    matched = np.full((pictures, most, len(thresholds)), MISSED, dtype=np.int8)
    for part in (slice(start, start + step) for start in range(0, pictures, step)):
        _match(matched[part], rows[part], truths[part], thresholds, area)
    return matched.reshape(*boxes.shape[:-1], len(thresholds))


def counted(truth: np.ndarray, area: tuple[float, float] = (0.0, np.inf)) -> np.ndarray:
    """The class of each object (..., M), -1 behind the last one and where its area is another."""
    kinds = truth[..., 1:, 4].copy()
    kinds[_outside(truth[..., 1:, :], _pixels(truth), area)] = -1
    return kinds


def _pixels(truth: np.ndarray) -> np.ndarray:
    """Those of a square as long as the longer side."""
    return np.asarray(truth[..., 0, :2].max(axis=-1).astype(np.float64) ** 2)


def _outside(boxes: np.ndarray, pixels: np.ndarray, area: tuple[float, float]) -> np.ndarray:
    sides = boxes[..., 2:4] - boxes[..., :2]
    own = sides[..., 0] * sides[..., 1] * pixels[..., None]
    return np.asarray((own < area[0]) | (own > area[1]))


def _match(
    matched: np.ndarray,
    boxes: np.ndarray,
    truth: np.ndarray,
    thresholds: np.ndarray,
    area: tuple[float, float],
) -> None:
    """Write what the boxes of some pictures match: the surest of each first, all at once."""
    objects, there = truth[:, 1:], boxes[..., 4] > 0
    passed = _outside(objects, _pixels(truth), area)
    alike = (boxes[..., 5, None] == objects[:, None, :, 4]) & there[..., None]
    between = np.where(alike, overlaps(boxes[..., :4], objects[..., :4]), -1.0)
    near_enough = between.max(axis=2, initial=-1.0) >= thresholds.min()
    free = np.ones((len(boxes), len(thresholds), objects.shape[1]), dtype=bool)
    least = np.minimum(thresholds, 1 - 1e-10)[:, None]
    every = np.arange(len(boxes))
    for places in np.argsort(-boxes[..., 4], axis=1, kind="stable").T:
        rows = every[near_enough[every, places]]
        if not len(rows):
            continue
        own = places[rows]
        overlap = between[rows, own][:, None]
        open_ones = free[rows] & (overlap >= least)
        counts = open_ones & ~passed[rows][:, None]
        choice = np.where(counts.any(axis=2, keepdims=True), counts, open_ones)
        picture, column = np.nonzero(choice.any(axis=2))
        best = np.where(choice, overlap, -1.0).argmax(axis=2)[picture, column]
        free[rows[picture], column, best] = False
        kind = np.where(passed[rows[picture], best], PASSED, FOUND)
        matched[rows[picture], own[picture], column] = kind
    outside = there & _outside(boxes, _pixels(truth), area)
    matched[(matched == MISSED) & outside[..., None]] = PASSED
