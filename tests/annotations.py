"""Folders of annotated pictures, and what is read there."""

from __future__ import annotations

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
