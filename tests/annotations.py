"""Folders of annotated pictures, and what is read there."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from headstart import catalog
from headstart.data import annotated
from headstart.data.schema import GUESSED, Schema
from headstart.data.sources import Contents

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


OBJECT = "<object><name>cat</name>{}</object>"
BOUNDS = "<bndbox><xmin>10</xmin><ymin>20</ymin><xmax>40</xmax><ymax>60</ymax></bndbox>"
KEPT = ["cat", 10.0, 20.0, 40.0, 60.0]


def voc(folder: Path, body: str, name: str = "a.xml") -> None:
    """A picture and its XML."""
    picture(folder / "a.jpg")
    (folder / name).write_text(f"<annotation><filename>a.jpg</filename>{body}</annotation>")


def yolo(folder: Path, lines: str, names: str = "names: [cat, dog]\n") -> None:
    """Pictures, labels, and a data.yaml."""
    picture(folder / "images" / "a.jpg")
    picture(folder / "images" / "b.jpg", (60, 60))
    (folder / "labels").mkdir()
    (folder / "labels" / "a.txt").write_text(lines)
    (folder / "data.yaml").write_text(names)


KITTI = "cat 0.00 0 -1.57 10.00 20.00 40.00 60.00 2.8 2.6 12.3 0.4 1.4 69.4 -1.5\n"
RECTANGLE = {"label": "cat", "points": [[40, 20], [10, 60]], "shape_type": "rectangle"}
RECT = {"name": "rect", "x": 10, "y": 20, "width": 30, "height": 40}


def kitti(folder: Path, lines: str = KITTI) -> None:
    """A picture and its file, and pictures to answer about under the same name."""
    picture(folder / "training" / "image_2" / "a.jpg")
    picture(folder / "testing" / "image_2" / "a.jpg", (60, 60))
    (folder / "training" / "label_2").mkdir()
    (folder / "training" / "label_2" / "a.txt").write_text(lines)
    (folder / "training" / "calib").mkdir()
    (folder / "training" / "calib" / "a.txt").write_text("P0: 7.2e+02 0 6.0e+02 0\n")


def labelme(folder: Path, *shapes: Any, **fields: Any) -> None:
    """A picture and its JSON beside it."""
    picture(folder / "a.jpg")
    document: dict[str, Any] = {"version": "5.4", "flags": {}, "shapes": shapes, "imageData": None}
    document |= {"imagePath": "a.jpg", "imageWidth": 100, "imageHeight": 80} | fields
    (folder / "a.json").write_text(json.dumps(document))


def via(folder: Path, *regions: Any, name: str = "via_project.json", old: bool = False) -> None:
    """A picture and a project, or as old versions export it: regions by number."""
    picture(folder / "a.jpg")
    listed: Any = {str(n): each for n, each in enumerate(regions)} if old else [*regions]
    pictures = {"a.jpg123": {"filename": "a.jpg", "size": 123, "regions": listed}}
    document = pictures if old else {"_via_settings": {}, "_via_img_metadata": pictures}
    (folder / name).write_text(json.dumps(document))


def via_region(shape: Any, attributes: Any) -> dict[str, Any]:
    """One region as its JSON has it."""
    return {"shape_attributes": shape, "region_attributes": attributes}


def via_csv(folder: Path, *rows: tuple[Any, Any]) -> None:
    """The same as CSV, of shapes and attributes."""
    picture(folder / "a.jpg")
    with (folder / "via_export.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            "#filename file_size file_attributes region_count region_id region_shape_attributes"
            " region_attributes".split()
        )
        for place, cells in enumerate(rows):
            writer.writerow(["a.jpg", 9, "{}", len(rows), place, *map(json.dumps, cells)])
