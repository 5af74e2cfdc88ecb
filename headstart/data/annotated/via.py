"""VGG Image Annotator: regions of pictures in JSON, as a project or an export, and in CSV."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.data.annotated.marks import (
    Box,
    Marked,
    Reading,
    ends,
    from_extent,
    is_json_with,
    shown,
)
from headstart.data.annotated.rows import CLASS_WORDS
from headstart.data.tables.interface import ItemTable
from headstart.errors import DataError

_TABLE = ("filename", "region_shape_attributes", "region_attributes")
_ONE = "object"  # the class where regions have no attribute


@dataclass(frozen=True)
class _Region:
    """One region as it was written: of which picture, where that stands, its shape and class."""

    file: str
    place: str
    shape: Any
    attributes: Any


def is_via(path: Path) -> bool:
    """Whether a file is such JSON, by the names that it holds."""
    return is_json_with(path, "regions", "filename", "shape_attributes")


def is_table(table: ItemTable) -> bool:
    """Whether a table is its export of regions."""
    return set(_TABLE) <= {*table.names}


def read(path: Path, split: str | None, into: Reading) -> None:
    """Add what a file says. Raises DataError where it is no such JSON."""
    try:
        document = json.loads(path.read_bytes())
        pictures = [*document.get("_via_img_metadata", document).values()]
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(
            f"{path} is no file of the VGG Image Annotator ({error}). Export it again."
        ) from None
    files, regions = [], []
    for each in pictures:
        file = each.get("filename") if isinstance(each, dict) else None
        if not isinstance(file, str) or not file.strip():
            continue  # settings, in old projects
        files.append(file)
        own = each.get("regions")
        own = [*own.values()] if isinstance(own, dict) else own if isinstance(own, list) else []
        for count, region in enumerate(own, start=1):
            cells = region if isinstance(region, dict) else {}
            place = f"{path.name} {file} region {count}"
            parts = cells.get("shape_attributes"), cells.get("region_attributes")
            regions.append(_Region(file, place, *parts))
    _add(path, files, regions, split, into)


def read_table(table: ItemTable, split: str | None, into: Reading) -> None:
    """Add what its CSV says: one region a row, or a picture without any."""
    regions, files = [], []
    columns = (table.values(name) for name in _TABLE)
    for count, file, shape, attributes in zip(table.numbers(), *columns, strict=True):
        name = str(file or "").strip()
        if name:
            files.append(name)
            place = f"{table.path.name} {table.noun} {count}"
            if (cell := _cell(shape)) != {}:
                regions.append(_Region(name, place, cell, _cell(attributes)))
    _add(table.path, files, regions, split, into)


def _cell(text: Any) -> Any:
    try:
        return json.loads(text) if isinstance(text, str) and text.strip() else {}
    except (ValueError, RecursionError):
        return text


def _add(
    path: Path, files: Iterable[str], regions: Iterable[_Region], split: str | None, into: Reading
) -> None:
    regions = [*regions]
    name = _attribute(path, regions)
    boxes: dict[str, list[Box]] = {file: [] for file in files}
    for region in regions:
        label = _label(region.attributes, name) if name else _ONE
        box = _box(region, label, into)
        if box is not None:
            boxes[region.file].append(box)
    if regions and not name:
        into.remarks.append(f"no region has an attribute, so that all are of the class {_ONE!r}")
    into.pictures += [
        Marked(file, path.name, tuple(own), split=split, base=path.parent)
        for file, own in boxes.items()
    ]


def _attribute(path: Path, regions: Iterable[_Region]) -> str:
    """The attribute of regions that names the class; empty where they have none.

    Raises DataError where several could.
    """
    counts = Counter(
        name
        for region in regions
        if isinstance(region.attributes, Mapping)
        for name, value in region.attributes.items()
        if value not in ("", None, {})
    )
    usual = [name for word in CLASS_WORDS for name in counts if name.lower() == word]
    if len(counts) > 1 and not usual:
        names = " and ".join(map(repr, sorted(counts)[:2]))
        raise DataError(
            f"{path} has {len(counts)} attributes of regions, such as {names}, and none is called "
            "after classes. Rename the one that names them to 'class', there and in every region."
        )
    return str((usual or [*counts, ""])[0])


def _label(attributes: Any, name: str) -> str | None:
    """What a region is: a text, or the option that is ticked."""
    value = attributes.get(name) if isinstance(attributes, Mapping) else None
    if isinstance(value, Mapping):
        ticked = [option for option, is_set in value.items() if is_set in (True, "true")]
        return ", ".join(sorted(map(str, ticked))) or None
    return None if value is None else str(value)


def _box(region: _Region, label: str | None, into: Reading) -> Box | None:
    shape = region.shape if isinstance(region.shape, Mapping) else {}
    kind = shape.get("name")
    if kind == "rect":
        values = [shape.get(side) for side in ("x", "y", "width", "height")]
        return into.box(label, from_extent(values), region.place)
    if kind == "polygon":
        xs, ys = shape.get("all_points_x"), shape.get("all_points_y")
        if isinstance(xs, list) and isinstance(ys, list):
            return into.shape(label, xs, ys, region.place)
    if kind in ("circle", "ellipse"):
        radius = shape.get("r")
        across, down = shape.get("rx", radius), shape.get("ry", radius)
        xs, ys = ends(shape.get("cx"), across), ends(shape.get("cy"), down)
        return into.shape(label, xs, ys, region.place)
    fault = (
        f"it is a {kind} and surrounds nothing" if kind else f"{shown(region.shape)} is no shape"
    )
    into.faults.append((region.place, f"{fault}; left out"))
    return None
