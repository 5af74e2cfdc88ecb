"""Broken annotations: each repaired, left out or refused, in a sentence, and nothing else lost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from annotations import KEPT, SOUND, boxes, coco, found, picture

from headstart import catalog
from headstart.data import annotated
from headstart.data.schema import GUESSED, Schema
from headstart.errors import DataError

BROKEN = {  # the second annotation of a picture -> the box that is left of it, and what is said
    "no width": ({"bbox": [5, 5, 0, 10]}, None, "it is 0x10 pixels large; left out"),
    "a width below 0 is a corner": (
        {"bbox": [30, 5, -20, 10]},
        ["cat", 10.0, 5.0, 30.0, 15.0],
        "its corners were the wrong way round; put right",
    ),
    "outside": (
        {"bbox": [200, 5, 10, 10]},
        None,
        "it lies outside the picture of 100x80; left out",
    ),
    "partly outside": (
        {"bbox": [90, 70, 30, 30]},
        ["cat", 90.0, 70.0, 100.0, 80.0],
        "it reaches 20 pixels beyond the picture of 100x80; cut there",
    ),
    "twice": ({}, None, "it repeats another box; left out"),
    "as large as the picture": (
        {"bbox": [0, 0, 100, 80]},
        ["cat", 0.0, 0.0, 100.0, 80.0],
        "it is as large as the picture; kept",
    ),
    "an unknown picture": (
        {"image_id": 3},
        None,
        "image_id 3 is none of the file's images; left out",
    ),
    "an unknown class": (
        {"category_id": 2},
        None,
        "category_id 2 is none of its categories; left out",
    ),
    "a crowd": ({"iscrowd": 1}, None, "it marks a crowd and no single object; left out"),
    "no numbers": (
        {"bbox": ["a", 1, 2, 3]},
        None,
        "['a', 1, 2, 3] is no box of four numbers; left out",
    ),
    "not a number": (
        {"bbox": [float("nan"), 1, 2, 3]},
        None,
        "[nan, 1, 2, 3] is no box of four numbers; left out",
    ),
    "three numbers": ({"bbox": [1, 2, 3]}, None, "[1, 2, 3] is no box of four numbers; left out"),
    "no box": ({"bbox": None}, None, "[None] is no box of four numbers; left out"),
    "a polygon alone": (
        {"bbox": [], "segmentation": [[1, 2, 11, 2, 11, 22]]},
        ["cat", 1.0, 2.0, 11.0, 22.0],
        "",
    ),
    "numbers as text": ({"bbox": ["1", "2", "5", "6"]}, ["cat", 1.0, 2.0, 6.0, 8.0], ""),
    "ids with gaps": ({"category_id": 9}, ["Dog", 10.0, 20.0, 40.0, 60.0], ""),
}


@pytest.mark.parametrize(("annotation", "first", "message"), BROKEN.values(), ids=BROKEN)
def test_a_broken_annotation_costs_nothing_else(
    tmp_path: Path, annotation: Mapping[str, Any], first: list[Any] | None, message: str
) -> None:
    coco(tmp_path, annotation)
    contents = found(tmp_path)
    assert boxes(contents, "a.jpg") == sorted([KEPT, *([first] if first else [])])
    assert boxes(contents, "b.jpg") == []  # a picture without objects is one
    assert all(row.source is not None for row in contents.rows)
    assert [fault for _, fault in contents.repaired] == ([message] if message else [])
    assert all("instances.json annotation 2" in place for place, _ in contents.repaired)


@pytest.mark.parametrize(
    ("width", "height", "expected", "message"),
    [
        (200, 160, [["cat", 5.0, 10.0, 20.0, 30.0]], "its boxes are of 200x160 pixels and"),
        (0, 0, [KEPT], ""),
        (None, None, [KEPT], ""),
    ],
)
def test_boxes_of_another_size(
    tmp_path: Path, width: int | None, height: int | None, expected: list[Any], message: str
) -> None:
    coco(tmp_path, {}, width=width, height=height)
    contents = found(tmp_path)
    assert boxes(contents, "a.jpg") == expected
    assert any(fault.startswith(message) for _, fault in contents.repaired)


def test_boxes_of_another_shape_are_refused_by_picture(tmp_path: Path) -> None:
    coco(tmp_path, {}, width=50, height=80)
    rows = {row.id: row for row in found(tmp_path).rows}
    assert rows["a.jpg"].source is None
    assert rows["a.jpg"].missing == "its boxes are of 50x80 pixels, and the picture is 100x80"
    assert rows["b.jpg"].source is not None


@pytest.mark.parametrize(
    ("turn", "expected"),
    [
        (6, ["cat", 20.0, 10.0, 60.0, 40.0]),
        (8, ["cat", 20.0, 60.0, 60.0, 90.0]),
        (5, ["cat", 20.0, 10.0, 60.0, 40.0]),
        (7, ["cat", 20.0, 60.0, 60.0, 90.0]),
    ],
)
def test_boxes_turn_with_the_picture(tmp_path: Path, turn: int, expected: list[Any]) -> None:
    """Orientation 6 is a quarter clockwise of the stored picture: (x, y) -> (80 - y, x)."""
    coco(tmp_path, {"bbox": [1, 1, 0, 0]})
    picture(tmp_path / "a.jpg", turn=turn)
    contents = found(tmp_path)
    assert not [why for _, why in contents.repaired if "wrong way" in why]
    (box,) = boxes(contents, "a.jpg")
    left, top, right, bottom = 10.0, 20.0, 40.0, 60.0
    points = {
        6: (80 - bottom, left, 80 - top, right),
        8: (top, 100 - right, bottom, 100 - left),
        5: (top, left, bottom, right),
        7: (80 - bottom, 100 - right, 80 - top, 100 - left),
    }
    assert box == ["cat", *points[turn]]
    assert expected[0] == "cat"


def test_a_path_that_leads_out_is_refused(tmp_path: Path) -> None:
    picture(tmp_path / "secret.jpg")
    coco(tmp_path / "data", {}, file_name="../secret.jpg")
    with pytest.raises(DataError, match="secret"):
        found(tmp_path / "data")


def test_boxes_that_are_asked_for_and_not_there(tmp_path: Path) -> None:
    picture(tmp_path / "cats" / "a.jpg")
    assert annotated.find(tmp_path, catalog.modality("image"), GUESSED) is None
    with pytest.raises(DataError, match="holds no boxes that can be read"):
        found(tmp_path, Schema(kind="boxes"))


DOCUMENT = {
    "images": [{"id": 1, "file_name": "a.jpg"}],
    "annotations": [{"image_id": 1, "category_id": 2, "bbox": SOUND}],
    "categories": [{"id": 2, "name": "cat"}],
}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_coco_may_begin_with_a_byte_order_mark(tmp_path: Path, encoding: str) -> None:
    picture(tmp_path / "a.jpg")
    (tmp_path / "boxes.json").write_text(json.dumps(DOCUMENT), encoding=encoding)
    assert boxes(found(tmp_path), "a.jpg") == [KEPT]


@pytest.mark.parametrize("image", [1.0, "1"])
def test_ids_that_are_equal_meet_however_they_are_written(tmp_path: Path, image: object) -> None:
    picture(tmp_path / "a.jpg")
    document = DOCUMENT | {"images": [{"id": image, "file_name": "a.jpg"}]}
    (tmp_path / "boxes.json").write_text(json.dumps(document))
    assert boxes(found(tmp_path), "a.jpg") == [KEPT]


@pytest.mark.parametrize("categories", [3, {"2": "cat"}, ["cat"], None])
def test_categories_of_another_form_are_named_in_the_refusal(
    tmp_path: Path, categories: object
) -> None:
    picture(tmp_path / "a.jpg")
    (tmp_path / "boxes.json").write_text(json.dumps(DOCUMENT | {"categories": categories}))
    with pytest.raises(DataError, match="annotation 1: category_id 2 is none of its categories"):
        found(tmp_path)


def test_a_torn_coco_file_is_refused_and_its_folders_are_no_classes(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "a.jpg")
    picture(tmp_path / "more" / "b.jpg")
    (tmp_path / "boxes.json").write_text(json.dumps(DOCUMENT)[:-20])
    with pytest.raises(DataError, match=r"boxes\.json is no COCO file"):
        found(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"annotations": None}, "has no list of annotations"),
        ({"images": {"1": "a.jpg"}}, "has no list of images"),
        (
            {"categories": [{"id": 2, "name": "cat"}, {"id": 2, "name": "dog"}]},
            "two categories of the id 2, 'cat' and 'dog'",
        ),
    ],
)
def test_a_document_that_can_mean_nothing_is_refused(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    picture(tmp_path / "a.jpg")
    (tmp_path / "boxes.json").write_text(json.dumps({**DOCUMENT, **change}))
    with pytest.raises(DataError, match=message):
        found(tmp_path)


def test_a_name_longer_than_any_is_no_picture(tmp_path: Path) -> None:
    coco(tmp_path, {})
    document = json.loads((tmp_path / "instances.json").read_text())
    document["images"][1]["file_name"] = "b" * 5000 + ".jpg"
    (tmp_path / "instances.json").write_text(json.dumps(document))
    rows = found(tmp_path).rows
    assert boxes(found(tmp_path), "a.jpg") == [KEPT]
    assert [len(row.missing) < 300 for row in rows if row.missing] == [True]


def test_a_crowd_may_be_marked_by_a_word(tmp_path: Path) -> None:
    coco(tmp_path, {"bbox": [1, 1, 9, 9], "iscrowd": "1"})
    contents = found(tmp_path)
    assert boxes(contents, "a.jpg") == [KEPT]
    assert "marks a crowd" in contents.repaired[0][1]
