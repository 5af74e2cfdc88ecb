"""Data sets of pictures with boxes: COCO, VOC, YOLO, CVAT, KITTI, LabelMe, VIA, WIDER, tables.

Exports of Roboflow, CVAT and Label Studio are of these forms.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from headstart.contracts import Modality
from headstart.contracts.boxes import BOX_FORMS
from headstart.contracts.places import Extent
from headstart.data import tables
from headstart.data.annotated import coco, kitti, labelme, rows, via, voc, wider, yolo
from headstart.data.annotated.marks import KIND, Marked, Reading
from headstart.data.annotated.repair import repaired
from headstart.data.containers import Part
from headstart.data.names import split_in
from headstart.data.paths import Paths
from headstart.data.schema import Schema
from headstart.data.sources import Contents, Row, Source
from headstart.data.trees import Folder, walk
from headstart.errors import DataError

_UNMARKED = "no annotation names the picture"
_SHOWN = 200  # characters of a name
_AGAIN = "another annotation names the picture, too"
_Folders = Sequence[tuple[Folder, tuple[str, ...]]]  # each with the names that lead there
_DOCUMENTS = (  # of which one is told first; whether each is of one picture
    ("COCO", coco.is_coco, coco.read, False),
    ("XML", voc.is_boxes, voc.read, True),
    ("LabelMe", labelme.is_labelme, labelme.read, True),
    ("VIA", via.is_via, via.read, False),
    ("WIDER FACE", wider.is_wider, wider.read, False),
)
_OF_ONE = {form for form, *_, of_one in _DOCUMENTS if of_one}
_TABLES = (".csv", ".tsv", ".parquet", ".jsonl", ".json", ".arrow")


def find(
    path: Path,
    modality: Modality,
    schema: Schema,
    parts: Sequence[Part] = (),
    root: Path | None = None,
) -> Contents | None:
    """What annotators marked there; None where it isn't that, or another kind of target is named.

    `parts` are the tables that a folder is made of, `root` the folder of a file's pictures, its own
    unless given. Raises DataError where boxes are asked for and there are none, or a file is
    broken.
    """
    if not modality.has_extent or schema.kind not in (None, KIND):
        return None
    if schema.kind is None and (schema.label or schema.class_level):
        return None
    root = path if path.is_dir() else root or path.parent
    tree = walk(root, modality)
    tables_there = [(part.path, part.split) for part in parts]
    folder = path.is_dir()
    reading = _of_folder(tree, tables_there, modality) if folder else _of_file(path, modality)
    if reading is None or not any(picture.boxes for picture in reading.pictures):
        _demand_boxes(path, reading, schema)
        return None
    files = Paths(root, tree.every)
    return _contents(root, reading, files, modality)


def _demand_boxes(path: Path, reading: Reading | None, schema: Schema) -> None:
    """Raise DataError where there are none and should be: asked for, or written and all wrong."""
    faults = reading.faults if reading else []
    if schema.kind != KIND and (not faults or (reading and reading.form == "table")):
        return
    why = f" ({faults[0][0]}: {faults[0][1].removesuffix('; left out')})" if faults else ""
    raise DataError(f"{path} holds no boxes that can be read{why}. Give {BOX_FORMS}.")


def _of_file(path: Path, modality: Modality) -> Reading | None:
    for form, is_own, read, _ in _DOCUMENTS:
        if is_own(path):
            reading = Reading(form)
            read(path, None, reading)
            return reading
    if path.suffix.lower() not in _TABLES:
        return None
    return _of_tables([(path, None)], modality)


def _of_folder(
    tree: Folder, parts: list[tuple[Path, str | None]], modality: Modality
) -> Reading | None:
    """The first format that says anything there; the more telling ones come first."""
    every = [(folder, way) for folder, way in tree.below()]
    files = [
        (folder.path / name, _split_of(tree, way, name))
        for folder, way in every
        for name in (*folder.others, *folder.tables)
    ]
    for form, is_own, read, of_one in _DOCUMENTS:
        documents = coco.of_objects([(file, split) for file, split in files if is_own(file)])
        if documents:
            reading = Reading(form)
            for file, split in documents:
                read(file, split, reading)
            reading.pictures += _without_own(every, reading) if of_one else []
            return _words(reading)
    listed = [(file, s) for file, s in files if file.suffix.lower() in _TABLES]
    reading_of_tables = _of_tables(parts or listed, modality)
    if reading_of_tables is not None:
        return _words(reading_of_tables)
    if kitti.is_kitti(tree):
        reading = Reading("KITTI")
        kitti.read(tree, reading, _UNMARKED)
        return _words(reading)
    if yolo.is_yolo(tree):
        reading = Reading("YOLO")
        yolo.read(tree, reading)
        return _words(reading)
    return None


def _without_own(every: _Folders, reading: Reading) -> list[Marked]:
    """The pictures that no document names, where each has one of its own."""
    stems = {Path(each.file.replace("\\", "/")).stem for each in reading.pictures}
    stems |= {Path(each.place).stem for each in reading.pictures}  # as where files were renamed
    return [
        Marked(name, name, base=folder.path, missing=_UNMARKED)
        for folder, _ in every
        for name in folder.files
        if Path(name).stem not in stems
    ]


def _of_tables(files: list[tuple[Path, str | None]], modality: Modality) -> Reading | None:
    reading = Reading("table")
    for path, split in files:
        if path.suffix.lower() == ".json" and not split_in(path.stem) and len(files) > 1:
            continue
        try:
            every = tables.read(path)
            tables_with_columns = [
                (table, rows.columns(table, modality.columns)) for table in every
            ]
            projects = [table for table in every if via.is_table(table)]
        except DataError:  # it is read as what it is by others, who say why it can't be
            continue
        for table in projects:
            via.read_table(table, split, reading)
        for table, own in tables_with_columns:
            if own is not None:
                rows.read(table, own, split, reading)
    return reading if reading.pictures else None


def _split_of(tree: Folder, way: tuple[str, ...], name: str) -> str | None:
    """The split that a file is of: by a folder that it lies in, else by its own name."""
    folder: Folder | None = tree
    for each in way:
        folder = next((f for f in folder.folders if f.name == each), None) if folder else None
        if folder and folder.split in ("train", "validation", "test"):
            return folder.split
    stem, suffix = os.path.splitext(name)
    match = split_in(stem) if suffix.lower() != ".xml" else None
    return match[0] if match and match[0] in ("train", "validation", "test") else None


def _words(reading: Reading) -> Reading:
    """The splits that pictures are in, if some are; else none are in any."""
    splits = {each.split for each in reading.pictures if each.split and not each.missing}
    if "train" not in splits or len(splits) < 2:
        reading.pictures = [replace(each, split=None) for each in reading.pictures]
        return reading
    reading.words = {split: split for split in sorted(splits)}
    return reading


def _contents(root: Path, reading: Reading, files: Paths, modality: Modality) -> Contents:
    located = [_located(each, files) for each in reading.pictures]
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        extents = list(pool.map(lambda each: _extent(each[2], modality), located))
    listing: list[Row] = []
    names: set[str] = set()
    for (marked, name, source, why), extent in zip(located, extents, strict=True):
        value, why = _value(marked, extent, why, reading)
        if name in names and source is not None:
            why = _AGAIN
        names.add(name)
        source = None if why else source
        listing.append(Row(name, marked.place, value or "", marked.split, source, why))
    boxes = sum(len(each.boxes) for each in reading.pictures)
    remarks = [f"{boxes} boxes in {len(reading.pictures)} pictures, read as {reading.form}"]
    if reading.shapes:
        remarks.append(f"{reading.shapes} polygons and circles are read as the boxes around them")
    if reading.difficult:
        remarks.append(
            f"{reading.difficult} objects are marked as difficult and count like others, unlike in "
            "the scores of Pascal VOC"
        )
    if reading.passed:
        remarks.append(f"{reading.passed} regions of DontCare are no objects")
    return Contents(
        root,
        tuple(listing),
        kind=KIND,
        column="boxes",
        split_names=reading.words,
        remarks=(
            *remarks,
            *reading.remarks,
            *(files.remarks() if reading.form not in _OF_ONE else ()),
        ),
        repaired=tuple(reading.faults),
    )


def _located(marked: Marked, files: Paths) -> tuple[Marked, str, Source | None, str]:
    """The picture's id and source, or why there is none."""
    if marked.missing or marked.source is not None:
        return marked, marked.file, marked.source, marked.missing
    base, file = Path(marked.base), marked.file.replace("\\", "/")
    if base.is_file():  # which is of one picture: its name is what it says, or its own
        file, base = file.rpartition("/")[2], base.parent
    names = [file]
    if Path(marked.base).is_file():
        names += [f"{Path(marked.base).stem}{suffix}" for suffix in (".jpg", ".png", ".jpeg")]
    first, why = "", ""
    for each in names:
        name, source, reason = files.find(each, base, marked.place, marked.split)
        if source is not None and os.path.isfile(source.path):
            return marked, name, source, ""
        first, why = first or name, why or reason
    return marked, first, None, why or f"the picture {marked.file[:_SHOWN]} is not there"


def _extent(source: Source | None, modality: Modality) -> Extent | None:
    try:
        return modality.extent(source.read()) if source else None
    except DataError:  # the check of the item says why
        return None


def _value(
    marked: Marked, extent: Extent | None, why: str, reading: Reading
) -> tuple[str | None, str]:
    """The boxes as JSON, and why the picture can't be used, if so."""
    if why:
        return None, why
    if extent is None:  # what can't be read is left out when it is checked
        return json.dumps({"size": [1, 1], "boxes": []}), ""
    boxes, faults, wrong = repaired(marked, extent)
    reading.faults += faults
    if wrong:
        return None, wrong
    rows_ = [[label, *(round(c, 2) for c in corners)] for label, corners in boxes]
    return json.dumps({"size": [extent.width, extent.height], "boxes": sorted(rows_)}), ""
