"""Where a detector is good and where not: curves, classes, and the boxes worth a look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from headstart.contracts import Metric
from headstart.contracts.boxes import FOUND, matches, overlaps
from headstart.contracts.entry_points import located
from headstart.tasks.detection.thresholds import best

_PRECISION: Final = "headstart.metrics.precision:AP"
_DRAWS: Final = 200
_OVERLAP: Final = 0.5
_HALF: Final = np.array([0.5])
_NEAR: Final = 0.1  # overlap from which a box is meant for an object, and misplaced
_LISTED: Final = 24  # boxes of a kind
_POINTS: Final = 101


@dataclass(frozen=True)
class Answered:
    """Boxes (N, K, 6) and objects (N, 1 + M, 5) of items, by the items' ids."""

    boxes: np.ndarray
    truth: np.ndarray
    ids: Sequence[str]


def worth_a_look(test: Answered, validation: Answered, labels: Sequence[str]) -> dict[str, Any]:
    """Precision over recall at an overlap of a half, each class, and what was missed or made up.

    Boxes above their class's threshold, which validation sets, count as found. Those that are sure
    and match no object may be objects that nobody marked; those that are sure and off may be marked
    wrongly; both are looked for in validation too, which the network did not learn from either.
    """
    least = [best(validation.boxes, validation.truth, n) for n in range(len(labels))]
    rows, curves = [], {}
    for number, label in enumerate(labels):
        scores, hits, there = _of_class(test, number)
        curves[label] = _curve(hits, there)
        above = scores >= least[number]
        right, detected = int(hits[above].sum()), int(above.sum())
        rows.append(
            {
                "label": label,
                "objects": there,
                "threshold": round(least[number], 4),
                "precision": right / detected if detected else None,
                "recall": right / there if there else None,
                "made_up": detected - right,
                **precision(test.boxes, test.truth, number),
            }
        )
    boxes_by_kind: dict[str, list[dict[str, Any]]] = {"misses": [], "made_up": [], "misplaced": []}
    pictures_of: dict[str, dict[str, Any]] = {}
    for part, is_test in ((test, True), (validation, False)):
        for boxes, truth, name in zip(part.boxes, part.truth, part.ids, strict=True):
            _look(boxes, truth, (name, labels, least), boxes_by_kind, misses=is_test)
            pictures_of[name] = _shown(boxes, truth, labels, least)
    boxes_by_kind["misses"].sort(key=lambda row: -row["area"])
    for name in ("made_up", "misplaced"):
        boxes_by_kind[name].sort(key=lambda row: -row["score"])
    listed = {name: own[:_LISTED] for name, own in boxes_by_kind.items()}
    ids = {row["id"] for own in listed.values() for row in own}
    pictures = {name: each for name, each in pictures_of.items() if name in ids}
    sure = [boxes[_counts(boxes, least)] for boxes in test.boxes]
    counts = confusion(sure, test.truth, len(labels)).tolist()
    return {"classes": rows, "curves": curves, "confusion": counts, **listed, "drawn": pictures}


def _counts(boxes: np.ndarray, least: Sequence[float]) -> np.ndarray:
    """Which boxes are above their class's threshold, (K,) bool."""
    return np.array([box[4] > 0 and box[4] >= least[int(box[5])] for box in boxes], dtype=bool)


def _of_class(part: Answered, number: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Scores of its boxes, the surest first, whether each is right, and how many objects."""
    own = (part.boxes[..., 5] == number) & (part.boxes[..., 4] > 0)
    every, right = part.boxes[own, 4], matches(part.boxes, part.truth, _HALF)[own, 0] == FOUND
    order = np.argsort(-every, kind="stable")
    return every[order], right[order], int((part.truth[:, 1:, 4] == number).sum())


def _curve(hits: np.ndarray, there: int) -> list[dict[str, float]]:
    """The best precision at each of 101 recalls that is reached."""
    if not there or not len(hits):
        return []
    right = np.cumsum(hits)
    precision = right / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    recalls = np.linspace(0, 1, _POINTS)
    places = np.searchsorted(right / there, recalls)
    return [
        {"recall": round(float(recall), 4), "precision": round(float(envelope[place]), 5)}
        for recall, place in zip(recalls, places, strict=True)
        if place < len(hits)
    ]


def _look(
    boxes: np.ndarray,
    truth: np.ndarray,
    about: tuple[str, Sequence[str], Sequence[float]],
    boxes_by_kind: dict[str, list[dict[str, Any]]],
    misses: bool,
) -> None:
    """Add one picture's misses, and what it has too much or in another place."""
    name, labels, least = about
    sure = boxes[_counts(boxes, least)]
    objects = truth[1:][truth[1:, 4] >= 0]
    right = matches(sure, truth, _HALF)[:, 0] == FOUND if len(sure) else np.empty(0, bool)
    between = overlaps(sure[:, :4], objects[:, :4])
    longer = float(max(truth[0, :2]))
    for place, box in enumerate(sure):
        if right[place]:
            continue
        nearest = float(between[place].max(initial=0.0))
        kind = "misplaced" if nearest >= _NEAR else "made_up"
        boxes_by_kind[kind].append(
            {"id": name, "label": labels[int(box[5])], "score": round(float(box[4]), 4)}
            | {"overlap": round(nearest, 3)}
        )
    if not misses:
        return
    for place, item in enumerate(objects):
        same = sure[:, 5] == item[4] if len(sure) else np.empty(0, bool)
        if not (between[same, place] >= _HALF[0]).any():
            area = float((item[2] - item[0]) * (item[3] - item[1])) * longer**2
            boxes_by_kind["misses"].append(
                {"id": name, "label": labels[int(item[4])], "area": round(area, 1)}
            )


def _shown(
    boxes: np.ndarray, truth: np.ndarray, labels: Sequence[str], least: Sequence[float]
) -> dict[str, Any]:
    """A picture's objects and the boxes that were found, in pixels."""
    longer = float(max(truth[0, :2]))

    def pixels(corners: np.ndarray) -> list[float]:
        return [round(float(side) * longer, 1) for side in corners]

    return {
        "size": [int(truth[0, 0]), int(truth[0, 1])],
        "truth": [
            {"label": labels[int(each[4])], "box": pixels(each[:4])}
            for each in truth[1:]
            if each[4] >= 0
        ],
        "found": [
            {"label": labels[int(each[5])], "score": round(float(each[4]), 3)}
            | {"box": pixels(each[:4])}
            for each in boxes[_counts(boxes, least)]
        ],
    }


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
            if best < 0 or between[best] < _OVERLAP:
                counts[classes, int(box[5])] += 1
                continue
            free[best] = False
            counts[int(objects[best, 4]), int(box[5])] += 1
        for kind in objects[free, 4].astype(int):
            counts[kind, classes] += 1
    return counts
