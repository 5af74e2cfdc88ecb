"""Average precision of one class with its interval, and which class is taken for which."""

from __future__ import annotations

from typing import Final

import numpy as np

from headstart.contracts import Metric
from headstart.contracts.boxes import overlaps
from headstart.contracts.entry_points import located

_PRECISION: Final = "headstart.metrics.precision:AP"
_DRAWS: Final = 200
_HALF: Final = 0.5


def precision(boxes: np.ndarray, truth: np.ndarray, number: int) -> dict[str, float | None]:
    """COCO's average precision of one class, with 95 % of what resampled pictures give.

    Of boxes (N, K, 6) and objects (N, 1 + M, 5); None where there is no object of it.
    """
    own, objects = boxes.copy(), truth.copy()
    own[boxes[..., 5] != number] = 0
    objects[:, 1:][truth[:, 1:, 4] != number] = -1
    if not (objects[:, 1:, 4] == number).any():
        return {"ap": None, "low": None, "high": None}
    metric: Metric = located(_PRECISION)()
    count = len(truth)
    draws = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), _DRAWS)
    values = metric.resamples(own, objects, np.vstack([np.ones(count), draws]))
    bounds = np.nanquantile(values[1:], (0.025, 0.975))
    ap, low, high = (round(float(each), 5) for each in (values[0], *bounds))
    return {"ap": ap, "low": low, "high": high}


def confusion(boxes: list[np.ndarray], truth: np.ndarray, classes: int) -> np.ndarray:
    """How often objects of a class (rows) were found as one (columns), (classes + 1,) squared.

    `boxes` hold those of each picture that count as found, (K, 6). Whatever their class, the surest
    first takes the object that it overlaps most, by half or more. The last row is background that
    was taken for an object, the last column objects that were missed.
    """
    counts = np.zeros((classes + 1, classes + 1), dtype=np.int64)
    for sure, rows in zip(boxes, truth, strict=True):
        objects = rows[1:][rows[1:, 4] >= 0]
        free = np.ones(len(objects), dtype=bool)
        for box in sure[np.argsort(-sure[:, 4], kind="stable")]:
            between = np.where(free, overlaps(box[None, :4], objects[:, :4])[0], 0.0)
            best = int(between.argmax()) if len(objects) else -1
            if best < 0 or between[best] < _HALF:
                counts[classes, int(box[5])] += 1
                continue
            free[best] = False
            counts[int(objects[best, 4]), int(box[5])] += 1
        for kind in objects[free, 4].astype(int):
            counts[kind, classes] += 1
    return counts
