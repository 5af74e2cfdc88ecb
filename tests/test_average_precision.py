"""Average precision of boxes next to COCO's own tool."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
import pytest

from headstart import catalog
from headstart.contracts import boxes

WIDTH, HEIGHT = 640, 480
CLASSES = 3
NAMES = ("AP", "AP50", "AP75", "AP-small", "AP-medium", "AP-large")


def truths(rng: np.random.Generator, pictures: int) -> list[np.ndarray]:
    """Objects of each picture (M, 5): corners in pixels, small and large, and class."""
    objects = []
    for _ in range(pictures):
        sides = np.exp(rng.uniform(np.log(12), np.log(220), (rng.integers(0, 6), 2)))
        low = rng.uniform(0, [WIDTH, HEIGHT], sides.shape) - sides / 2
        corners = np.concatenate([low, low + sides], axis=1)
        corners = np.clip(corners, 0, [WIDTH, HEIGHT, WIDTH, HEIGHT])
        objects.append(np.column_stack([corners, rng.integers(0, CLASSES, len(sides))]))
    return objects


def answers(rng: np.random.Generator, objects: np.ndarray) -> np.ndarray:
    """Boxes (K, 6) near objects, some of another class, and some where there is none."""
    near = np.repeat(objects, 2, axis=0)
    sides = near[:, 2:4] - near[:, :2]
    moved = near[:, :4] + rng.normal(0, 0.12, (len(near), 4)) * np.tile(sides, 2)
    wrong = rng.uniform(0, 300, (3, 2))
    boxes = np.concatenate([moved, np.column_stack([wrong, wrong + rng.uniform(10, 99, (3, 2))])])
    kinds = np.concatenate([near[:, 4], np.zeros(3)])
    kinds = np.where(rng.random(len(kinds)) < 0.1, rng.integers(0, CLASSES, len(kinds)), kinds)
    scores = rng.permutation(np.linspace(0.05, 0.95, len(boxes)))
    right = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    return np.column_stack([boxes, scores, kinds])[right]


def by_coco(objects: list[np.ndarray], boxes: list[np.ndarray]) -> np.ndarray:
    """AP, AP50, AP75 and AP of small, medium and large objects."""
    coco, evaluation = (pytest.importorskip(f"pycocotools.{n}") for n in ("coco", "cocoeval"))
    rows = [(place, row) for place, own in enumerate(objects) for row in own.tolist()]
    content: dict[str, Any] = {
        "images": [
            {"id": n, "width": WIDTH, "height": HEIGHT, "file_name": ""}
            for n in range(len(objects))
        ],
        "categories": [{"id": n, "name": str(n)} for n in range(CLASSES)],
        "annotations": [
            {"id": n + 1, "image_id": p, "category_id": int(kind), "iscrowd": 0}
            | {"bbox": [a, b, c - a, d - b], "area": (c - a) * (d - b)}
            for n, (p, (a, b, c, d, kind)) in enumerate(rows)
        ],
    }
    detections = [
        {"image_id": p, "category_id": int(k), "bbox": [a, b, c - a, d - b], "score": s}
        for p, own in enumerate(boxes)
        for a, b, c, d, s, k in own.tolist()
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = coco.COCO()
        truth.dataset = content
        truth.createIndex()
        judge = evaluation.COCOeval(truth, truth.loadRes(detections), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return np.asarray(judge.stats[:6])


def as_arrays(objects: list[np.ndarray], boxes: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Predictions (N, K, 6) and targets (N, 1 + M, 5) as metrics take them."""
    most, side = max(map(len, boxes)), float(max(WIDTH, HEIGHT))
    predictions = np.zeros((len(boxes), most, 6))
    targets = np.full((len(objects), 1 + max(map(len, objects)), 5), -1.0)
    for place, (own, answers) in enumerate(zip(objects, boxes, strict=True)):
        predictions[place, : len(answers)] = answers / [side, side, side, side, 1, 1]
        targets[place, 0] = WIDTH, HEIGHT, len(own), 0, 0
        targets[place, 1 : 1 + len(own)] = own / [side, side, side, side, 1]
    return predictions, targets


@pytest.mark.parametrize("seed", range(5))
def test_it_is_that_of_coco(seed: int) -> None:
    rng = np.random.default_rng(seed)
    objects = truths(rng, 40)
    detections = [answers(rng, own) for own in objects]
    predictions, targets = as_arrays(objects, detections)
    results = [catalog.metric_named(name).of(predictions, targets) for name in NAMES]
    np.testing.assert_allclose(results, by_coco(objects, detections), atol=1e-9)


@pytest.mark.parametrize("container", [1, 10**6])
@pytest.mark.parametrize("area", [(0.0, np.inf), (0.0, 32.0**2), (32.0**2, 96.0**2)])
def test_many_pictures_are_matched_as_each_alone(
    area: tuple[float, float], container: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many are held at a time."""
    rng = np.random.default_rng(7)
    objects = truths(rng, 30)
    predictions, targets = as_arrays(objects, [answers(rng, own) for own in objects])
    thresholds = np.linspace(0.5, 0.95, 10)
    alone = [
        boxes.matches(*each, thresholds, area) for each in zip(predictions, targets, strict=True)
    ]
    monkeypatch.setattr(boxes, "_HELD", container)
    together = boxes.matches(predictions, targets, thresholds, area)
    assert {boxes.FOUND, boxes.MISSED} <= set(np.unique(together))
    np.testing.assert_array_equal(together, np.stack(alone))
    counted = [boxes.counted(each, area) for each in targets]
    np.testing.assert_array_equal(boxes.counted(targets, area), np.stack(counted))


def test_no_picture_and_no_object_are_matched_too() -> None:
    half, none = np.array([0.5]), np.full((2, 1, 5), -1.0)
    none[:, 0] = WIDTH, HEIGHT, 0, 0, 0
    answers = np.tile([0.1, 0.1, 0.4, 0.4, 0.9, 1.0], (2, 3, 1))
    assert boxes.matches(answers, none, half).tolist() == np.full((2, 3, 1), boxes.MISSED).tolist()
    assert boxes.matches(answers[:0], none[:0], half).shape == (0, 3, 1)
