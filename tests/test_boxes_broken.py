"""Broken annotations: each repaired, left out or refused, in a sentence, and nothing else lost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from headstart import catalog
from headstart.data import annotated
from headstart.data.schema import GUESSED, Schema
from headstart.data.sources import Contents
from headstart.errors import DataError

SOUND = [10, 20, 30, 40]  # left, top, width and height of the box that must stay


def picture(path: Path, size: tuple[int, int] = (100, 80), turn: int = 0) -> None:
    """A picture of noise; `turn` is its EXIF orientation."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    image, exif = Image.fromarray(noise), Image.Exif()
    if turn:
        exif[0x0112] = turn
    image.save(path, exif=exif)


def coco(folder: Path, annotation: Mapping[str, Any], **image: Any) -> None:
    """Two pictures: `a.jpg` with a sound box and another annotation, `b.jpg` without any."""
    picture(folder / "a.jpg")
    picture(folder / "b.jpg", (60, 60))
    sound = {"id": 0, "image_id": 0, "category_id": 0, "bbox": SOUND, "iscrowd": 0}
    first = {"id": 0, "file_name": "a.jpg", "width": 100, "height": 80} | image
    second = {"id": 7, "file_name": "b.jpg", "width": 60, "height": 60}
    document = {
        "images": [first, second],
        "categories": [{"id": 0, "name": "cat"}, {"id": 9, "name": "Dog"}],
        "annotations": [sound, {**sound, "id": 1, **annotation}],
    }
    (folder / "instances.json").write_text(json.dumps(document))


def found(folder: Path, schema: Schema = GUESSED) -> Contents:
    """What is read there."""
    contents = annotated.find(folder, catalog.modality("image"), schema)
    assert contents is not None
    return contents


def boxes(contents: Contents, name: str) -> list[list[Any]]:
    """The boxes of one picture."""
    row = next(row for row in contents.rows if row.id.endswith(name))
    stated: list[list[Any]] = json.loads(row.value)["boxes"]
    return stated


KEPT = ["cat", 10.0, 20.0, 40.0, 60.0]
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


@pytest.mark.parametrize(("annotation", "left", "said"), BROKEN.values(), ids=BROKEN)
def test_a_broken_annotation_costs_nothing_else(
    tmp_path: Path, annotation: Mapping[str, Any], left: list[Any] | None, said: str
) -> None:
    coco(tmp_path, annotation)
    contents = found(tmp_path)
    assert boxes(contents, "a.jpg") == sorted([KEPT, *([left] if left else [])])
    assert boxes(contents, "b.jpg") == []  # a picture without objects is one
    assert all(row.source is not None for row in contents.rows)
    assert [fault for _, fault in contents.repaired] == ([said] if said else [])
    assert all("instances.json annotation 2" in place for place, _ in contents.repaired)


@pytest.mark.parametrize(
    ("width", "height", "expected", "said"),
    [
        (200, 160, [["cat", 5.0, 10.0, 20.0, 30.0]], "its boxes are of 200x160 pixels and"),
        (0, 0, [KEPT], ""),
        (None, None, [KEPT], ""),
    ],
)
def test_boxes_of_another_size(
    tmp_path: Path, width: int | None, height: int | None, expected: list[Any], said: str
) -> None:
    coco(tmp_path, {}, width=width, height=height)
    contents = found(tmp_path)
    assert boxes(contents, "a.jpg") == expected
    assert any(fault.startswith(said) for _, fault in contents.repaired)


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
    (box,) = boxes(found(tmp_path), "a.jpg")
    left, top, right, bottom = 10.0, 20.0, 40.0, 60.0
    points = {
        6: (80 - bottom, left, 80 - top, right),
        8: (top, 100 - right, bottom, 100 - left),
        5: (top, left, bottom, right),
        7: (80 - bottom, 100 - right, 80 - top, 100 - left),
    }
    assert box == ["cat", *points[turn]]
    assert expected[0] == "cat"


def voc(folder: Path, body: str, name: str = "a.xml") -> None:
    """A picture and its XML."""
    picture(folder / "a.jpg")
    (folder / name).write_text(f"<annotation><filename>a.jpg</filename>{body}</annotation>")


OBJECT = "<object><name>cat</name>{}</object>"
BOUNDS = "<bndbox><xmin>10</xmin><ymin>20</ymin><xmax>40</xmax><ymax>60</ymax></bndbox>"


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (OBJECT.format(""), "it has no <bndbox>; left out"),
        ("<object>" + BOUNDS + "</object>", "the box has no class; left out"),
        (
            OBJECT.format("<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>3</xmax></bndbox>"),
            "['1', '2', '3', None] is no box of four numbers; left out",
        ),
    ],
)
def test_broken_xml_objects(tmp_path: Path, part: str, said: str) -> None:
    voc(tmp_path, OBJECT.format(BOUNDS) + part)
    contents = found(tmp_path)
    assert boxes(contents, "a.jpg") == [KEPT]
    assert contents.repaired == (("a.xml object 2", said),)


def test_documents_with_types_are_not_read(tmp_path: Path) -> None:
    voc(tmp_path, OBJECT.format(BOUNDS))
    bomb = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation>&x;</annotation>'
    (tmp_path / "evil.xml").write_text(bomb)
    (tmp_path / "torn.xml").write_text("<annotation><object>")
    contents = found(tmp_path)
    assert boxes(contents, "a.jpg") == [KEPT]
    faults = dict(contents.repaired)
    assert "declares document types" in faults["evil.xml"]
    assert "is no XML" in faults["torn.xml"]


def test_pictures_and_annotations_without_each_other(tmp_path: Path) -> None:
    voc(tmp_path, OBJECT.format(BOUNDS))
    picture(tmp_path / "alone.jpg")
    (tmp_path / "gone.xml").write_text(
        f"<annotation><filename>gone.jpg</filename>{OBJECT.format(BOUNDS)}</annotation>"
    )
    rows = {row.place: row for row in found(tmp_path).rows}
    assert rows["alone.jpg"].missing == "no annotation names the picture"
    assert rows["gone.xml"].source is None and rows["gone.xml"].missing
    assert rows["a.xml"].source is not None


def test_a_path_that_leads_out_is_refused(tmp_path: Path) -> None:
    picture(tmp_path / "secret.jpg")
    coco(tmp_path / "data", {}, file_name="../secret.jpg")
    with pytest.raises(DataError, match="secret"):
        found(tmp_path / "data")


def yolo(folder: Path, lines: str, names: str = "names: [cat, dog]\n") -> None:
    """Pictures, labels, and a data.yaml."""
    picture(folder / "images" / "a.jpg")
    picture(folder / "images" / "b.jpg", (60, 60))
    (folder / "labels").mkdir()
    (folder / "labels" / "a.txt").write_text(lines)
    (folder / "data.yaml").write_text(names)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("2 0.5 0.5 0.1 0.1", "class 2 is none of the 2 that are named; left out"),
        ("cat 0.5 0.5 0.1 0.1", "'cat' is no number of a class; left out"),
        ("0 0.5 0.5 0.1", "'0 0.5 0.5 0.1' is no class with four numbers; left out"),
        ("0 50 40 20 20", "'0 50 40 20 20' holds pixels in the place of shares; left out"),
        ("0 0.5 0.5 0 0", "it is 0x0 pixels large; left out"),
    ],
)
def test_broken_lines(tmp_path: Path, line: str, said: str) -> None:
    yolo(tmp_path, f"0 0.25 0.5 0.3 0.5\n{line}\n")
    contents = found(tmp_path)
    assert boxes(contents, "images/a.jpg") == [KEPT]
    assert boxes(contents, "images/b.jpg") == []
    assert contents.repaired == (("a.txt line 2", said),)


def test_a_broken_list_of_classes_is_refused(tmp_path: Path) -> None:
    yolo(tmp_path, "0 0.25 0.5 0.3 0.5\n", "names: [cat\n")
    with pytest.raises(DataError, match=r"data\.yaml can't be read: .* Correct the file\."):
        found(tmp_path)


def test_names_that_unfold_are_refused(tmp_path: Path) -> None:
    """Lists of lists of the same list would fill the memory, were they written out."""
    levels = "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))
    yolo(tmp_path, "0 0.25 0.5 0.3 0.5\n", f"a0: &a0 [x]\n{levels}names: [*a39]\n")
    with pytest.raises(DataError, match="are no words"):
        found(tmp_path)


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


def test_why_no_box_can_be_read_is_said(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "a.jpg")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text("0 50 40 20 20\n")
    with pytest.raises(DataError, match="holds pixels in the place of shares"):
        found(tmp_path)


def test_a_class_of_a_huge_number_is_not_counted_up_to(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "a.jpg")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    (tmp_path / "data.yaml").write_text("names: {0: cat, 99999999999: dog}\n")
    assert boxes(found(tmp_path), "a.jpg") == [["cat", 40.0, 32.0, 60.0, 48.0]]
