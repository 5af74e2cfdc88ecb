"""COCO's JSON: pictures, categories and annotations, joined by ids of any kind."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from headstart.contracts.cells import number
from headstart.data.annotated.marks import CROWD, Box, Marked, Reading, around, from_extent, shown
from headstart.errors import DataError

_INSTANCES, _OTHERS = "instances", ("person_keypoints", "panoptic", "captions")  # COCO's files
_SEGMENTS = "segments_info"  # of all that a picture shows, as panoptic files have them
_OBJECT = frozenset({"bbox", "segmentation", _SEGMENTS})
_HEAD = 4096  # bytes of a file that are looked at before all of it is read


def is_coco(path: Path) -> bool:
    """Whether a JSON file may be one, by what it holds."""
    if path.suffix.lower() != ".json":
        return False
    try:
        with path.open("rb") as file:
            start = file.read(_HEAD)
        if start.decode(json.detect_encoding(start), "ignore").lstrip()[:1] != "{":
            return False
        content = path.read_bytes()
    except OSError:
        return False
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):  # a torn one is refused when it is read
        return b'"bbox"' in content and b'"images"' in content
    entries = document if isinstance(document, dict) else {}
    images, annotations = entries.get("images"), entries.get("annotations")
    if not isinstance(images, list) or not isinstance(annotations, list):
        return _is_meant(entries)
    boxes = [each for each in annotations[:100] if isinstance(each, dict)]
    return not boxes or any(not _OBJECT.isdisjoint(each) for each in boxes)


def of_objects(documents: Sequence[tuple[Path, str | None]]) -> list[tuple[Path, str | None]]:
    """Without those on keypoints and all segments of pictures whose objects another file has."""
    folders = {path.parent for path, _ in documents if path.name.startswith(_INSTANCES)}
    return [
        each
        for each in documents
        if each[0].parent not in folders or not each[0].name.startswith(_OTHERS)
    ]


def _is_meant(entries: Mapping[str, Any]) -> bool:
    """Whether a document without pictures or annotations is meant to hold both."""
    return len({"images", "annotations", "categories"} & entries.keys()) > 1


def read(path: Path, split: str | None, into: Reading) -> None:
    """Add what a file says. Raises DataError where it is no such JSON."""
    try:
        document = json.loads(path.read_bytes())
        images, annotations = document["images"], document["annotations"]
        categories = document.get("categories")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"{path} is no COCO file ({error}). Export it again.") from None
    for word, entries in (("images", images), ("annotations", annotations)):
        if not isinstance(entries, list):
            raise DataError(f"{path} has no list of {word}. Export it again.")
    if any(isinstance(each, dict) and _SEGMENTS in each for each in annotations[:1]):
        raise DataError(
            f"{path} is COCO's panoptic form, with all segments of each picture in a PNG. Give "
            "instances_*.json of the same pictures, or make it by panopticapi's "
            "panoptic2detection_coco_format.py."
        )
    names = _names(path, categories)
    ids = {_id(each.get("id")) for each in images if isinstance(each, dict)}
    boxes: defaultdict[str, list[Box]] = defaultdict(list)
    for place, each in enumerate(annotations):
        where = f"{path.name} annotation {place + 1}"
        box = _box(each, names, ids, where, into)
        if box is not None:
            boxes[_id(each["image_id"])].append(box)
    for place, each in enumerate(images):
        where = f"{path.name} image {place + 1}"
        file = each.get("file_name") if isinstance(each, dict) else None
        if not isinstance(file, str) or not file.strip():
            into.faults.append((where, "it names no file; left out"))
            continue
        own = tuple(boxes[_id(each.get("id"))])
        into.pictures.append(Marked(file, where, own, _size(each), split=split, base=path.parent))


def _names(path: Path, categories: Any) -> dict[str, str]:
    """Classes by id. Raises DataError for an id of two."""
    names: dict[str, str] = {}
    for each in categories if isinstance(categories, list) else ():
        if not isinstance(each, dict) or "id" not in each:
            continue
        name = str(each["id"] if each.get("name") is None else each["name"])
        first = names.setdefault(_id(each["id"]), name)
        if first != name:
            raise DataError(
                f"{path} has two categories of the id {shown(each['id'])}, {first!r} and {name!r}. "
                "Give each its own, in its annotations, too."
            )
    return names


def _id(value: Any) -> str:
    """An id as others refer to it: tables make 1.0 of 1."""
    return str(int(value) if isinstance(value, float) and value.is_integer() else value)


def _box(
    each: Any, names: Mapping[str, str], ids: set[str], where: str, into: Reading
) -> Box | None:
    fault = ""
    if not isinstance(each, dict) or "image_id" not in each:
        fault = "it names no image; left out"
    elif _id(each["image_id"]) not in ids:
        fault = f"image_id {shown(each['image_id'])} is none of the file's images; left out"
    elif _id(each.get("category_id")) not in names:
        fault = f"category_id {shown(each.get('category_id'))} is none of its categories; left out"
    elif each.get("iscrowd") in (1, "1"):
        fault = CROWD
    if fault:
        into.faults.append((where, fault))
        return None
    values = each.get("bbox")
    corners = from_extent(values) if isinstance(values, list) and values else None
    polygons = each.get("segmentation")
    if corners is None and isinstance(polygons, list):
        points = [v for part in polygons if isinstance(part, list) for v in part]
        corners = around(points)
    return into.box(names[_id(each["category_id"])], corners or [values], where)


def _size(each: Mapping[str, Any]) -> tuple[float, float] | None:
    sides = number(each.get("width")), number(each.get("height"))
    return None if sides[0] is None or sides[1] is None else (sides[0], sides[1])
