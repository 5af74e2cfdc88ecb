"""Boxes of KITTI, LabelMe and the VGG Image Annotator: the same as of others, and their faults."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from annotations import (
    BOUNDS,
    KEPT,
    KITTI,
    OBJECT,
    RECT,
    RECTANGLE,
    boxes,
    found,
    kitti,
    labelme,
    picture,
    via,
    via_csv,
    via_region,
    voc,
)

from headstart import catalog
from headstart.data import annotated, load
from headstart.data.schema import GUESSED, Schema
from headstart.errors import DataError

CAT = {"class": "cat"}
HUGE: dict[str, Any] = {"label": "cat", "points": [[10**400 - 1, 1], [2, 3]]}  # as JSON may hold
HUGE |= {"name": "circle", "cx": 10**400 - 1, "cy": 2.5}
FORMS: dict[str, Callable[[Path], None]] = {
    "KITTI": kitti,
    "KITTI's answers": lambda root: kitti(root, KITTI.replace("\n", " 0.93\n")),
    "LabelMe": lambda root: labelme(root, RECTANGLE),
    "LabelMe on Windows": lambda root: labelme(root, RECTANGLE, imagePath="..\\photos\\a.jpg"),
    "LabelMe, renamed": lambda root: labelme(root, RECTANGLE, imagePath="old.jpg"),
    "VIA": lambda root: via(root, via_region(RECT, CAT)),
    "VIA 1": lambda root: via(root, via_region(RECT, CAT), old=True),
    "VIA's options": lambda root: via(
        root, via_region(RECT, {"type": {"cat": True, "dog": False}, "note": ""})
    ),
    "VIA as CSV": lambda root: via_csv(root, (RECT, CAT), ({}, {})),
}


@pytest.mark.parametrize("write", FORMS.values(), ids=FORMS)
def test_a_box_is_the_same_in_every_format(tmp_path: Path, write: Callable[[Path], None]) -> None:
    write(tmp_path)
    contents = found(tmp_path)
    assert boxes(contents, "a.jpg") == [KEPT]
    assert not contents.repaired
    assert [row.source is not None for row in contents.rows] == [True]


@pytest.mark.parametrize(
    ("name", "write"),
    [("via_project.json", FORMS["VIA"]), ("via_export.csv", FORMS["VIA as CSV"])],
)
def test_a_project_is_given_by_itself(
    tmp_path: Path, name: str, write: Callable[[Path], None]
) -> None:
    write(tmp_path)
    assert boxes(found(tmp_path / name), "a.jpg") == [KEPT]


POLYGON = {"label": "cat", "points": [[10, 30], [25, 20], [40, 60]], "shape_type": "polygon"}
CIRCLE = {"label": "cat", "points": [[25, 40], [25, 55]], "shape_type": "circle"}
POINTS = {"name": "polygon", "all_points_x": [10, 25, 40], "all_points_y": [30, 20, 60]}


@pytest.mark.parametrize(
    ("write", "corners"),
    [
        (lambda root: labelme(root, POLYGON), [10, 20, 40, 60]),
        (lambda root: labelme(root, CIRCLE), [10, 25, 40, 55]),
        (lambda root: via(root, via_region(POINTS, CAT)), [10, 20, 40, 60]),
        (
            lambda root: via(root, via_region({"name": "circle", "cx": 25, "cy": 40, "r": 5}, CAT)),
            [20, 35, 30, 45],
        ),
        (
            lambda root: via_csv(
                root, ({"name": "ellipse", "cx": 25, "cy": 40, "rx": 5, "ry": 9, "theta": 0}, CAT)
            ),
            [20, 31, 30, 49],
        ),
    ],
)
def test_other_shapes_are_the_boxes_around_them(
    tmp_path: Path, write: Callable[[Path], None], corners: list[float]
) -> None:
    write(tmp_path)
    contents = found(tmp_path)
    assert boxes(contents, "a.jpg") == [["cat", *corners]]
    assert "1 polygons and circles are read as the boxes around them" in contents.remarks


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (
            lambda root: kitti(root, f"{KITTI}cat 0.00 0 1 2 3\n"),
            "'cat 0.00 0 1 2 3' is no class with 14 numbers; left out",
        ),
        (lambda root: kitti(root, KITTI + KITTI), "it repeats another box; left out"),
        (
            lambda root: kitti(root, KITTI + KITTI.replace("10.00", "40.00")),
            "it is 0x40 pixels large; left out",
        ),
        (
            lambda root: labelme(root, RECTANGLE, RECTANGLE | {"shape_type": "line"}),
            "it is a line and surrounds nothing; left out",
        ),
        (
            lambda root: labelme(root, RECTANGLE, RECTANGLE | {"label": None}),
            "the box has no class; left out",
        ),
        (
            lambda root: labelme(root, RECTANGLE, POLYGON | {"points": [[1, 2], [3], [4, 5]]}),
            "[[1, 2], [3], [4, 5]] are no points; left out",
        ),
        (
            lambda root: labelme(root, RECTANGLE, POLYGON | {"points": [["x", 2], [3, 1], [4, 5]]}),
            "['x', 3, 4, 2, 1, 5] are no points; left out",
        ),
        (
            lambda root: labelme(root, RECTANGLE, RECTANGLE | {"shape_type": ["x"]}),
            "it is a ['x'] and surrounds nothing; left out",
        ),
        (
            lambda root: labelme(root, RECTANGLE, HUGE | {"shape_type": "circle"}),
            f"[{'9' * 58}… are no points; left out",
        ),
        (
            lambda root: via(root, via_region(RECT, CAT), via_region(HUGE | {"r": 1.5}, CAT)),
            f"[{'9' * 58}… are no points; left out",
        ),
        (
            lambda root: via(root, via_region(RECT, CAT), via_region(RECT | {"width": "?"}, CAT)),
            "[10, 20, '?', 40] is no box of four numbers; left out",
        ),
        (
            lambda root: via(root, via_region(RECT, CAT), via_region({"name": "point"}, CAT)),
            "it is a point and surrounds nothing; left out",
        ),
        (
            lambda root: via(root, via_region(RECT, CAT), via_region(None, CAT), 7),
            "None is no shape; left out",
        ),
        (
            lambda root: via(root, via_region(RECT, CAT), via_region(POINTS, {})),
            "the box has no class; left out",
        ),
        (
            lambda root: via_csv(root, (RECT, CAT), ({**RECT, "x": 500}, CAT)),
            "it lies outside the picture of 100x80; left out",
        ),
    ],
)
def test_what_is_broken_is_said(
    tmp_path: Path, write: Callable[[Path], None], message: str
) -> None:
    write(tmp_path)
    contents = found(tmp_path)
    assert boxes(contents, "a.jpg") == [KEPT]
    assert contents.repaired[0][1] == message


def test_regions_of_dont_care_are_no_objects(tmp_path: Path) -> None:
    kitti(tmp_path, f"{KITTI}DontCare -1 -1 -10 1 2 30 40 -1 -1 -1 -1000 -1000 -1000 -10\n")
    contents = found(tmp_path)
    assert boxes(contents, "a.jpg") == [KEPT] and not contents.repaired
    assert "1 regions of DontCare are no objects" in contents.remarks


def test_pictures_without_a_file_of_their_own_are_missing(tmp_path: Path) -> None:
    kitti(tmp_path / "kitti")
    labelme(tmp_path / "labelme", RECTANGLE)
    for folder in ("kitti/training/image_2", "labelme"):
        picture(tmp_path / folder / "b.jpg")
        missing = {row.id: row.missing for row in found(tmp_path / folder.partition("/")[0]).rows}
        assert missing["b.jpg"] == "no annotation names the picture"


def test_a_torn_file_beside_others_is_said(tmp_path: Path) -> None:
    labelme(tmp_path, RECTANGLE)
    (tmp_path / "b.json").write_text('{"shapes": [{"imagePath')
    (tmp_path / "c.json").write_text('{"shapes": 7, "imagePath": "c.jpg"}')
    contents = found(tmp_path)
    assert boxes(contents, "a.jpg") == [KEPT]
    assert dict(contents.repaired)["c.json"].endswith("that can be read; left out")


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"breed": "pug", "age": "old"}, r"2 attributes of regions, such as 'age' and 'breed'"),
        (None, None),
    ],
)
def test_the_attribute_that_names_the_class(
    tmp_path: Path, attributes: Any, message: str | None
) -> None:
    via(tmp_path, via_region(RECT, attributes))
    if message:
        with pytest.raises(DataError, match=message):
            found(tmp_path)
        return
    contents = found(tmp_path)
    assert boxes(contents, "a.jpg") == [["object", *KEPT[1:]]]
    assert any("all are of the class 'object'" in remark for remark in contents.remarks)


@pytest.mark.parametrize("text", ['{"regions": [], "filename": "a.jpg"}', '["regions", "filename"'])
def test_other_documents_with_the_same_words(tmp_path: Path, text: str) -> None:
    picture(tmp_path / "a.jpg")
    (tmp_path / "a.json").write_text(text)
    try:
        contents = annotated.find(tmp_path, catalog.modality("image"), GUESSED)
    except DataError as error:
        assert "is no file of the VGG Image Annotator" in str(error)
    else:
        assert contents is None


def test_documents_of_other_tools_leave_classes_alone(tmp_path: Path) -> None:
    for name in ("ants", "bees"):
        picture(tmp_path / name / "a.jpg")
    (tmp_path / "info.json").write_text('[{"filename": "a", "regions": []}]')
    assert annotated.find(tmp_path, catalog.modality("image"), GUESSED) is None


def test_labels_that_cannot_be_read_are_not_those_of_no_object(tmp_path: Path) -> None:
    kitti(tmp_path)
    folder = tmp_path / "training"
    picture(folder / "image_2" / "b.jpg", (50, 50))
    (folder / "label_2" / "b.txt").write_bytes(KITTI.encode() + b"Pi\xf1a")
    yolo = tmp_path / "yolo"
    for name in ("a", "b"):
        picture(yolo / f"{name}.jpg")
    (yolo / "a.txt").write_text("0 0.5 0.5 0.2 0.2")
    (yolo / "b.txt").symlink_to("b.txt")
    for place, why in ((folder, "line 2 holds a byte that is not"), (yolo, "can't be read: too")):
        missing = {row.id[-5:]: row.missing for row in found(place).rows}
        assert not missing["a.jpg"] and why in missing["b.jpg"]


def test_they_are_learned_from(tmp_path: Path) -> None:
    """From the folder, by the splits that folders name."""
    for split, count in (("train", 3), ("val", 2)):
        for n in range(count):
            folder = tmp_path / split / str(n)
            labelme(folder, RECTANGLE)
            picture(folder / "a.jpg", (100 + n, 80 + len(split)))
            (folder / "a.json").rename(folder / f"{split}{n}.json")
            (folder / "a.jpg").rename(folder / f"{split}{n}.jpg")
            text = (folder / f"{split}{n}.json").read_text().replace("100", f"{100 + n}")
            size = f'"imageHeight": {80 + len(split)}'
            (folder / f"{split}{n}.json").write_text(text.replace('"imageHeight": 80', size))
    data = load(tmp_path, catalog.modality("image"), Schema(kind="boxes"))
    assert (data.labels, len(data.split("test"))) == (("cat",), 2)


@pytest.mark.parametrize(
    "document",
    [
        '{"shapes": [{"type": "rect", "x": 1, "y": 2}], "imagePath": "a.jpg"}',
        '{"project": {"shapes": [], "imagePath": "a.jpg"}}',
        '[{"shapes": [{"points": [[1, 2], [3, 4]]}], "imagePath": "a.jpg"}]',
        '{"shapes": {"n": 2}, "imagePath": "a.jpg"}',
    ],
)
def test_other_json_with_names_of_labelme_is_none_of_it(tmp_path: Path, document: str) -> None:
    picture(tmp_path / "a.jpg")
    (tmp_path / "a.json").write_text(document)
    assert annotated.find(tmp_path, catalog.modality("image"), GUESSED) is None
    assert not annotated.labelme.is_labelme(tmp_path / "a.json")


def test_objects_that_are_marked_as_difficult_are_said(tmp_path: Path) -> None:
    voc(tmp_path, OBJECT.format(f"<difficult>1</difficult>{BOUNDS}") + OBJECT.format(BOUNDS))
    contents = found(tmp_path)
    assert boxes(contents, "a.jpg") == [KEPT]  # which both mark
    assert any(r.startswith("1 objects are marked as difficult") for r in contents.remarks)
