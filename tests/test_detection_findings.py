"""What reports say of boxes: each class with its interval, and which is taken for which."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from headstart.report import boxes as report
from headstart.tasks.detection import findings
from headstart.tasks.detection.findings import confusion, precision

SQUARE, OTHER = [0.1, 0.1, 0.5, 0.5], [0.6, 0.6, 0.9, 0.9]


def _truth(*pictures: list[list[float]]) -> np.ndarray:
    rows = np.full((len(pictures), 3, 5), -1.0)
    for row, objects in zip(rows, pictures, strict=True):
        row[0] = [100, 100, len(objects), 0, 0]
        row[1 : 1 + len(objects)] = np.array(objects).reshape(-1, 5)
    return rows


def _found(*pictures: list[list[float]]) -> np.ndarray:
    rows = np.zeros((len(pictures), 100, 6))
    for row, boxes in zip(rows, pictures, strict=True):
        row[: len(boxes)] = np.array(boxes).reshape(-1, 6)
    return rows


def test_background_is_a_row_and_a_column_of_the_confusion() -> None:
    truth = _truth([[*SQUARE, 0], [*OTHER, 1]], [[*SQUARE, 1]])
    boxes = [
        np.array([[*SQUARE, 0.9, 1], [*SQUARE, 0.8, 0]]),  # the second has no object left
        np.empty((0, 6)),
    ]
    counts = confusion(boxes, truth, 2)
    assert counts.tolist() == [[0, 1, 0], [0, 0, 2], [1, 0, 0]]
    assert counts[:2].sum() == 3  # every object stands in one place


def test_the_surest_box_takes_the_object_that_it_overlaps_most() -> None:
    near = [0.12, 0.1, 0.5, 0.5]
    truth = _truth([[*SQUARE, 0], [*near, 1]])
    boxes = [np.array([[*SQUARE, 0.4, 0], [*near, 0.9, 1]])]
    assert confusion(boxes, truth, 2).tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 0]]


def test_each_class_has_its_precision_with_an_interval() -> None:
    truth = _truth([[*SQUARE, 0]], [[*SQUARE, 0]], [[*OTHER, 1]])
    boxes = _found([[*SQUARE, 0.9, 0]], [[*OTHER, 0.8, 0]], [[*OTHER, 0.9, 1]])
    first, second = (precision(boxes, truth, number) for number in range(2))
    assert second == {"ap": 1.0, "low": 1.0, "high": 1.0}
    assert first["ap"] == pytest.approx(0.505, abs=0.01)
    assert first["low"] is not None and first["high"] is not None
    assert first["low"] < 0.3 and first["high"] == 1.0
    assert precision(boxes, truth[2:].repeat(3, 0), 0)["ap"] is None


def test_a_report_shows_them() -> None:
    truth = _truth([[*SQUARE, 0]], [[*SQUARE, 1]], [])
    boxes = _found([[*SQUARE, 0.9, 0]], [[*SQUARE, 0.9, 0]], [[*OTHER, 0.9, 0]])
    part = findings.Answered(boxes, truth, ["a", "b", "c"])
    record: dict[str, Any] = findings.worth_a_look(part, part, ["cat", "dog"])
    assert record["confusion"] == [[1, 0, 0], [1, 0, 0], [1, 0, 0]]
    section = report.boxes({"boxes": record})
    assert section is not None
    assert [figure.name for figure in section.figures] == ["boxes", "confusion"]
    (_, table), *_ = section.tables
    assert "AP" in table.columns and len(table.rows) == 2
    assert {group.title for group in section.groups} >= {"Boxes where nothing is marked"}
    for row in record["classes"]:
        for name in ("ap", "low", "high"):
            del row[name]
    del record["confusion"]  # as earlier versions wrote it
    assert report.boxes({"boxes": record}) is not None
