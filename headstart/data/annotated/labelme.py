"""LabelMe's JSON, one file a picture: `shapes` of points, rectangles among them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headstart.contracts.cells import number
from headstart.data.annotated.marks import Box, Marked, Reading, ends, is_json_with, shown

_AREAS = frozenset({"polygon", "circle", "mask", ""})  # other shapes surround nothing


def is_labelme(path: Path) -> bool:
    """Whether a file is one, by the names that it holds, of which other tools use some as well.

    One that is broken is a file of LabelMe that can't be read.
    """
    if is_json_with(path, "shapes", "imagePath", "points", "imageData"):
        return True  # as it writes them; most of such a file may be the picture
    if not is_json_with(path, "shapes", "imagePath"):
        return False
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return True
    if not isinstance(document, dict) or not {"shapes", "imagePath"} <= document.keys():
        return False
    shapes = document["shapes"]
    if isinstance(shapes, list):
        return not shapes or any(isinstance(each, dict) and "points" in each for each in shapes)
    return not isinstance(shapes, dict)


def read(path: Path, split: str | None, into: Reading) -> None:
    """Add what a file says; where it can't be read, that is a fault."""
    try:
        document = json.loads(path.read_bytes())
        shapes, file = document["shapes"], document["imagePath"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        document, shapes, file = {}, None, None
    if not isinstance(shapes, list) or not isinstance(document, dict):
        into.faults.append((path.name, "it is no file of LabelMe that can be read; left out"))
        return
    boxes = [_box(each, f"{path.name} shape {n}", into) for n, each in enumerate(shapes, start=1)]
    name = file if isinstance(file, str) and file.strip() else path.stem
    sides = number(document.get("imageWidth")), number(document.get("imageHeight"))
    size = None if sides[0] is None or sides[1] is None else (sides[0], sides[1])
    own = tuple(box for box in boxes if box)
    into.pictures.append(Marked(name, path.name, own, size, split=split, base=path))


def _box(each: Any, place: str, into: Reading) -> Box | None:
    shape = each if isinstance(each, Mapping) else {}
    kind, points = str(shape.get("shape_type") or ""), shape.get("points")
    if not isinstance(points, list) or not all(isinstance(p, list) and len(p) == 2 for p in points):
        into.faults.append((place, f"{shown(points)} are no points; left out"))
        return None
    xs, ys = [x for x, _ in points], [y for _, y in points]
    label = shape.get("label")
    if kind == "rectangle" and len(points) in (2, 4):
        return into.shape(label, xs, ys, place, is_box=True)
    if kind not in _AREAS or (kind != "mask" and kind != "circle" and len(points) < 3):
        into.faults.append((place, f"it is a {kind or 'line'} and surrounds nothing; left out"))
        return None
    numbers = [each for value in (*xs, *ys) if (each := number(value)) is not None]
    if kind == "circle" and len(points) == 2 and len(numbers) == 4:
        radius = math.hypot(numbers[1] - numbers[0], numbers[3] - numbers[2])
        xs, ys = ends(xs[0], radius), ends(ys[0], radius)
    return into.shape(label, xs, ys, place)
