"""XML of one picture as Pascal VOC and labelImg write it, and of many as CVAT does.

Nothing outside the file is read: a document that declares types or entities is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from headstart.contracts.cells import number
from headstart.data.annotated.marks import Box, Marked, Reading
from headstart.errors import DataError

_VOC = ("xmin", "ymin", "xmax", "ymax")
_CVAT = ("xtl", "ytl", "xbr", "ybr")
_HEAD = 2048


def is_boxes(path: Path) -> bool:
    """Whether a file begins as one of both forms."""
    if path.suffix.lower() != ".xml":
        return False
    try:
        with path.open("rb") as file:
            start = file.read(_HEAD)
    except OSError:
        return False
    return b"<annotation" in start or not start.strip()


def parse(path: Path) -> Element:
    """The document's root. Raises DataError for what is no XML, and for one with a DOCTYPE."""
    builder, parser = TreeBuilder(), expat.ParserCreate()
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data

    def refuse(*_: Any) -> None:
        raise DataError(
            f"{path} declares document types, which annotations never need, so that it is not "
            "read. Save it without."
        )

    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(path.read_bytes(), True)
    except (expat.ExpatError, OSError, ValueError, LookupError) as error:
        raise DataError(f"{path} is no XML: {error}. Export it again.") from None
    root: Element = builder.close()
    return root


def read(path: Path, split: str | None, into: Reading) -> None:
    """Add what a file says; where it can't be read, that is a fault."""
    try:
        root = parse(path)
    except DataError as error:
        into.faults.append((path.name, f"{str(error).rpartition('. ')[0]}; left out"))
        return
    if root.tag == "annotations":
        into.pictures += _of_cvat(path, root, split, into)
        return
    if root.tag != "annotation":
        into.faults.append((path.name, f"it is a document of <{root.tag}>; left out"))
        return
    boxes = []
    for place, each in enumerate(root.iter("object"), start=1):
        where, bounds = f"{path.name} object {place}", each.find("bndbox")
        if bounds is None:
            into.faults.append((where, "it has no <bndbox>; left out"))
            continue
        box = into.box(each.findtext("name"), [bounds.findtext(n) for n in _VOC], where)
        boxes += [box] if box else []
        into.difficult += box is not None and (each.findtext("difficult") or "").strip() == "1"
    size = root.find("size")
    sides = None if size is None else _sides(size.findtext("width"), size.findtext("height"))
    file = (root.findtext("filename") or "").strip() or path.stem
    into.pictures.append(Marked(file, path.name, tuple(boxes), sides, split=split, base=path))


def _of_cvat(path: Path, root: Element, split: str | None, into: Reading) -> Iterator[Marked]:
    for image in root.iter("image"):
        name = (image.get("name") or "").strip()
        where = f"{path.name} image {name or image.get('id')}"
        if not name:
            into.faults.append((where, "it names no file; left out"))
            continue
        boxes: list[Box] = []
        for place, each in enumerate(image.iter("box"), start=1):
            box = into.box(each.get("label"), [each.get(n) for n in _CVAT], f"{where} box {place}")
            boxes += [box] if box else []
        sides = _sides(image.get("width"), image.get("height"))
        subset = (image.get("subset") or "").strip().lower()
        own = split or (subset if subset in ("train", "validation", "test") else None)
        yield Marked(name, where, tuple(boxes), sides, split=own, base=path.parent)


def _sides(width: str | None, height: str | None) -> tuple[float, float] | None:
    sides = number(width), number(height)
    return None if sides[0] is None or sides[1] is None else (sides[0], sides[1])
