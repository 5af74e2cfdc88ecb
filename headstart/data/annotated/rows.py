"""Tables with boxes: one box a row, or all of a picture's in one cell, as Hugging Face has them."""

from __future__ import annotations

import ast
import csv
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from headstart.contracts.cells import is_blank, mark, number
from headstart.data.annotated.marks import CROWD, Box, Marked, Reading, from_extent, shown
from headstart.data.sources import SPLIT_WORDS, Source
from headstart.data.tables.interface import ItemTable
from headstart.data.tables.text import opened
from headstart.errors import DataError

_CORNERS: Final = (
    *(("xmin", "ymin", "xmax", "ymax"), ("x_min", "y_min", "x_max", "y_max")),
    *(("x1", "y1", "x2", "y2"), ("left", "top", "right", "bottom")),
)
_EXTENTS: Final = (
    *(("x", "y", "width", "height"), ("x", "y", "w", "h"), ("left", "top", "width", "height")),
    ("bbox_x", "bbox_y", "bbox_width", "bbox_height"),
)
_CELL: Final = ("bbox", "box", "boxes")  # one column that holds a list of four
CLASS_WORDS: Final = (
    *("class", "class_name", "classname", "label", "label_name", "labelname", "category"),
    *("category_name", "name", "object", "species"),
)
_OBJECTS: Final = ("objects", "annotations")  # a column of all of a picture's
_KINDS: Final = ("category", "categories", "label", "labels", "class", "classes", "category_id")
_SIZES: Final = (("width", "height"), ("image_width", "image_height"), ("img_w", "img_h"))
_FILES: Final = ("image_url", "imageid")  # columns of pictures besides the modality's own
_CROWDS: Final = ("isgroupof", "iscrowd", "is_crowd")
_LOOKED: Final = 50  # rows of a table without a header
_LONGEST: Final = 1_000  # characters of a cell that is read as a list


def columns(table: ItemTable, content: Sequence[str]) -> dict[str, Any] | None:
    """Which columns of a table say what; None where it has no boxes.

    `content` are names of columns that may hold pictures or their paths, best first.
    """
    lower = {name.lower(): name for name in reversed(table.names)}
    if _is_bare(table):
        bare, *box, kind = table.names
        return {"file": bare, "box": box, "extent": False, "class": kind, "size": [], "split": None}
    file = next((lower[name] for name in (*content, *_FILES) if name in lower), None)
    objects = next((lower[name] for name in _OBJECTS if name in lower), None)
    if file and objects and _holds_boxes(table, objects):
        return {"file": file, "objects": objects, "split": lower.get("split")}
    corners = next((each for each in _CORNERS if set(each) <= lower.keys()), None)
    extents = next((each for each in _EXTENTS if set(each) <= lower.keys()), None)
    cell = next((lower[name] for name in _CELL if name in lower), None)
    if file is None or not (corners or extents or cell):
        return None
    box_columns = [name for name in (corners or extents or ())]
    size = next((s for s in _SIZES if set(s) <= lower.keys() and not set(s) & set(box_columns)), ())
    return {
        "file": file,
        "box": [lower[name] for name in box_columns] or [cell],
        "extent": corners is None,
        "class": next((lower[name] for name in CLASS_WORDS if name in lower), None),
        "size": [lower[name] for name in size],
        "split": lower.get("split"),
        "crowd": next((lower[name] for name in _CROWDS if name in lower), None),
    }


def _is_bare(table: ItemTable) -> bool:
    """Whether a table without a header has a path, four numbers and a class in each row."""
    if not table.remark or len(table.names) != 6 or not table.names[0].startswith("column "):
        return False
    rows = [[row.get(name) for name in table.names] for row in table.first_rows(_LOOKED)]
    boxes = [row for row in rows if not all(map(is_blank, row[1:]))]
    return bool(boxes) and all(
        Path(str(row[0])).suffix and number(row[5]) is None and None not in map(number, row[1:5])
        for row in boxes
    )


def _class_names(path: Path) -> dict[str, str]:
    """The names of classes by the codes that stand in Open Images' tables."""
    names: dict[str, str] = {}
    for file in sorted(path.parent.glob("*class-descriptions*.csv")):
        with suppress(DataError), opened(file) as lines:
            names |= {row[0]: row[1] for row in csv.reader(lines) if len(row) == 2}
    return names


def _holds_boxes(table: ItemTable, column: str) -> bool:
    values = [value for _, value in zip(range(20), table.values(column), strict=False)]
    return any(_boxes_of(value) is not None for value in values)


def read(table: ItemTable, column_of: Mapping[str, Any], split: str | None, into: Reading) -> None:
    """Add what a table says; rows of one picture are one picture."""
    if "objects" in column_of:
        _objects(table, column_of, split, into)
        return
    files = list(table.values(column_of["file"]))
    cells = list(zip(*(table.values(name) for name in column_of["box"]), strict=True))
    labels = _labels(table, column_of["class"], len(files))
    sizes = list(zip(*(table.values(name) for name in column_of["size"]), strict=True))
    splits = list(table.values(column_of["split"])) if column_of["split"] else [None] * len(files)
    crowds = list(table.values(column_of["crowd"])) if column_of.get("crowd") else []
    boxes: dict[str, list[Box]] = {}
    first: dict[str, tuple[str, int]] = {}
    shares = _are_shares(cells)
    for row, (count, file) in enumerate(zip(table.numbers(), files, strict=True)):
        place = f"{table.path.name} {table.noun} {count}"
        if not isinstance(file, str) or not file.strip():
            into.faults.append((place, f"{shown(file)} names no picture; left out"))
            continue
        own = boxes.setdefault(file, [])
        first.setdefault(file, (place, row))
        values = _listed(cells[row][0]) if len(cells[row]) == 1 else list(cells[row])
        if all(is_blank(value) for value in values):  # a picture without an object
            continue
        if crowds and mark(crowds[row]) == 1.0:
            into.faults.append((place, CROWD))
            continue
        values = from_extent(values) if column_of["extent"] else values
        box = into.box(labels[row], values, place)
        own += [box] if box else []
    for file, own in boxes.items():
        place, row = first[file]
        word = SPLIT_WORDS.get(str(splits[row]).strip().lower())
        size = None if shares else _size(sizes[row]) if sizes else None
        own_split, base = split or word, table.path.parent
        into.pictures.append(
            Marked(file, place, tuple(own), size, split=own_split, base=base, shares=shares)
        )


def _labels(table: ItemTable, column: str | None, count: int) -> list[Any]:
    """The class of each row, by its name where another file has that."""
    if not column:
        return ["object"] * count
    names = _class_names(table.path)
    return [names.get(str(value), value) for value in table.values(column)]


def _size(cells: Sequence[Any]) -> tuple[float, float] | None:
    """The width and height of a picture; None where the cells say none."""
    sides = [side for cell in cells if (side := number(cell)) is not None]
    return (sides[0], sides[1]) if len(sides) == len(cells) == 2 else None


def _are_shares(cells: Sequence[Sequence[Any]]) -> bool:
    """Whether all coordinates are shares of the picture: at most 1, and not all whole."""
    numbers = [each for row in cells for v in row if (each := number(v)) is not None]
    return bool(numbers) and max(numbers) <= 1.0 and any(n != int(n) for n in numbers)


def _listed(cell: Any) -> list[Any]:
    """A cell of four numbers, a list or text of one."""
    if isinstance(cell, str) and len(cell) <= _LONGEST:
        try:
            cell = ast.literal_eval(cell.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return [cell]
    if isinstance(cell, list | tuple):
        return list(cell)
    return [None] if is_blank(cell) else [cell]


def _objects(
    table: ItemTable, column_of: Mapping[str, Any], split: str | None, into: Reading
) -> None:
    names = _category_names(table.path, column_of["objects"])
    contents = table.contents(column_of["file"])
    splits = table.values(column_of["split"]) if column_of["split"] else None
    words = list(splits) if splits is not None else []
    rows = zip(table.numbers(), contents, table.values(column_of["objects"]), strict=True)
    for row, (count, content, value) in enumerate(rows):
        place = f"{table.path.name} {table.noun} {count}"
        objects = _boxes_of(value)
        if objects is None:
            into.faults.append((place, f"{shown(value)} says no boxes; left out"))
            continue
        boxes = []
        for number_, (kind, corners) in enumerate(objects, start=1):
            label = names[kind] if isinstance(kind, int) and 0 <= kind < len(names) else kind
            box = into.box(label, from_extent(corners), f"{place} object {number_}")
            boxes += [box] if box else []
        own = split or (SPLIT_WORDS.get(str(words[row]).strip().lower()) if words else None)
        source = content if isinstance(content, Source) else None
        file = f"{table.path.name}#{count}" if source else str(content or "")
        into.pictures.append(
            Marked(file, place, tuple(boxes), split=own, base=table.path.parent, source=source)
        )


def _boxes_of(value: Any) -> list[tuple[Any, list[Any]]] | None:
    """Class and box of each object, of a mapping of lists or a list of mappings, else None."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    if isinstance(value, list):
        if not all(isinstance(each, dict) and "bbox" in each for each in value):
            return None
        value = {name: [each.get(name) for each in value] for name in ("bbox", *_KINDS)}
        value = {name: own for name, own in value.items() if any(v is not None for v in own)}
        value.setdefault("bbox", [])
    if not isinstance(value, dict) or not isinstance(value.get("bbox"), list):
        return None
    boxes = [each if isinstance(each, list) else [each] for each in value["bbox"]]
    kinds = next((value[n] for n in _KINDS if isinstance(value.get(n), list)), None)
    if kinds is None:
        kinds = ["object"] * len(boxes)
    return list(zip(kinds, boxes, strict=False))


def _category_names(path: Path, column: str) -> list[str]:
    """The names of numbered classes, as `datasets` writes them into a file's header."""
    if path.suffix.lower() != ".parquet":
        return []
    from pyarrow import parquet

    metadata = (parquet.read_schema(str(path)).metadata or {}).get(b"huggingface", b"{}")
    try:
        feature = json.loads(metadata)["info"]["features"][column]
    except (ValueError, KeyError, TypeError, RecursionError):
        return []
    return _names_in(feature, 0) or []


def _names_in(feature: Any, depth: int) -> list[str] | None:
    """The first list of `names` anywhere in a feature."""
    if depth > 8:
        return None
    if isinstance(feature, dict):
        names = feature.get("names")
        if isinstance(names, list) and all(isinstance(name, str) for name in names):
            return names
        feature = list(feature.values())
    inner = feature if isinstance(feature, list) else []
    return next((n for each in inner if (n := _names_in(each, depth + 1))), None)
