"""Folders of classes, with or without splits."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from headstart.data.items.file_names import advice
from headstart.data.items.levels import STRAY, Classes, choose
from headstart.data.items.lists import listed_classes
from headstart.data.names import (
    UNLABELLED,
    alike,
    lists_items,
    marks_items,
    named_aside,
    only_part,
    split_of,
)
from headstart.data.schema import Schema
from headstart.data.sources import Contents, FileSource, Row
from headstart.data.trees import Folder
from headstart.errors import DataError

_OTHER = "other file"
_DEPTH = 3  # folders down to where signs are looked for


@dataclass(frozen=True)
class _Layout:
    """The folders that hold class folders, each with its split, and those beside them.

    Of splits without any class folder, `listed` are those where a text names each file's class.
    """

    roots: tuple[tuple[Folder, str | None], ...]
    flat: tuple[Folder, ...] = ()  # called after a split, without any class
    beside: tuple[Folder, ...] = ()
    empty: tuple[Folder, ...] = ()
    listed: tuple[Folder, ...] = ()


def from_folders(path: Path, top: Folder, schema: Schema) -> Contents:
    """Every item under `top` with the class that a folder names; ids count from `path`.

    Raises DataError where no folder names a class.
    """
    demand_no_boxes(path, top)
    layout = _layout(path, top)
    folders = [folder for folder, _ in layout.roots]
    if not any(folder.full for folder in folders):
        raise DataError(f"{path} holds files but no folder of a class. {advice(top)}")
    if schema.column_names:
        raise DataError(
            f"{path} is a folder of classes and has no column {schema.column_names[0]!r}: its "
            "folders' names are the labels. Leave the column out, or give a manifest."
        )
    classes = choose(path, folders, schema)
    rows, stray = _rows(path, layout, classes)
    layout, listed = _listed(path, layout, {row.value for row in rows})
    rows, joined = _joined([*rows, *listed])
    rows, left_out = _labelled(rows, bool(layout.roots[0][1]))
    labels = {row.value for row in rows}
    names = _split_names(layout, classes)
    flat = {folder.split or "": folder.name for folder in layout.flat}
    return Contents(
        path,
        tuple(rows),
        kind="classes",
        column="value",
        split_names=names,
        notes=_others(folders),
        empty_classes=tuple(n for n in _empty(folders, classes) if n not in labels),
        warnings=(*_warnings(layout, stray), *joined, *left_out),
        remarks=classes.remarks,
        advice=advice(top) if len(labels) == 1 else "",
        unlabelled={s: name for s, name in flat.items() if s not in names and s != UNLABELLED},
    )


def _layout(path: Path, top: Folder) -> _Layout:
    """Splits where folders are called so and hold class folders; else the folders are classes.

    A class may be called `train` or `test` itself; its folder then holds items, not class folders.
    """
    splits = [folder for folder in top.folders if folder.split]
    labelled = [f for f in splits if holds_classes(f) and f.split != UNLABELLED]
    others = tuple(folder for folder in top.full if folder not in splits)
    words = {folder.split for folder in labelled}
    full = [folder for folder in splits if folder.items]
    if not labelled or (others and ("train" not in words or len(full) < 2)):
        if len(full) > 1 and not others:
            names = " and ".join(repr(folder.name) for folder in full)
            raise DataError(
                f"{path} parts its files into {names} but names no class. {advice(top)}"
            )
        return _without_copy(top)
    flat = tuple(folder for folder in full if folder not in labelled)
    if "train" not in words and any(folder.split == "train" for folder in flat):
        raise DataError(
            f"{path} has no folder of a class in its training split, only in {labelled[0].name!r}. "
            "Make one folder per class there too."
        )
    empty = [f for f in splits if not f.items and f.split not in (*words, UNLABELLED)]
    roots = tuple((folder, folder.split) for folder in labelled)
    return _Layout(roots, flat, others, tuple(empty))


def _without_copy(top: Folder) -> _Layout:
    """The class folders, but for one that holds all of the others' names again, as a copy does."""
    for copy in top.full if len(top.full) > 2 else ():
        others = {alike(folder.name) for folder in top.full if folder is not copy}
        if others <= {alike(folder.name) for folder in copy.full}:
            rest = tuple(folder for folder in top.folders if folder is not copy)
            return _Layout(
                ((replace(top, folders=rest, items=top.items - copy.items), None),), beside=(copy,)
            )
    return _Layout(((top, None),))


def holds_classes(folder: Folder) -> bool:
    """Whether there are folders in it that can be classes; `images` alone is none.

    Few files may lie beside them: a tenth of all, or fewer than in each of several folders.
    """
    if len(folder.full) == 1:
        (inner,) = folder.full
        if (
            only_part([inner.name])
            or split_of(inner.name)
            or alike(inner.name) == alike(folder.name)
        ):
            return holds_classes(inner)
    least = min((each.items for each in folder.full), default=0) if len(folder.full) > 1 else 0
    return bool(folder.full) and len(folder.files) <= max(STRAY * folder.items, least - 1)


def _rows(path: Path, layout: _Layout, classes: Classes) -> tuple[list[Row], dict[str, int]]:
    """The items in class folders, and how many of each root lie beside them."""
    rows: list[Row] = []
    stray: Counter[str] = Counter()
    for root, split in layout.roots:
        start = root.path.relative_to(path).parts
        for way in root.every():
            folders = way[:-1]
            if len(folders) < classes.level.number:
                stray[root.name if split else ""] += 1
                continue
            own = split
            if classes.split and len(folders) >= classes.split.number:
                own = split_of(folders[classes.split.number - 1])
            file = root.path.joinpath(*way)
            name = "/".join((*start, *way))
            rows.append(
                Row(name, str(file), folders[classes.level.number - 1], own, FileSource(file))
            )
    return rows, dict(stray)


def _listed(path: Path, layout: _Layout, classes: set[str]) -> tuple[_Layout, list[Row]]:
    """The layout with splits in which a text names the class of each file, and their items."""
    rows: list[Row] = []
    listed: list[Folder] = []
    for folder in layout.flat:
        class_of = listed_classes(folder, classes)
        listed += [folder] if class_of else []
        start = folder.path.relative_to(path).parts
        for way, name in class_of.items():
            source = FileSource(folder.path.joinpath(*way))
            rows.append(Row("/".join((*start, *way)), str(source.path), name, folder.split, source))
    flat = tuple(folder for folder in layout.flat if folder not in listed)
    return replace(layout, flat=flat, listed=tuple(listed)), rows


def _joined(rows: list[Row]) -> tuple[list[Row], tuple[str, ...]]:
    """Classes whose names differ in case or composition alone are one, called as most items are."""
    counts = Counter(row.value for row in rows)
    twins: defaultdict[str, list[str]] = defaultdict(list)
    for name, _ in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])):
        twins[alike(name)].append(name)
    several = [names for names in twins.values() if len(names) > 1]
    if not several:
        return rows, ()
    name_of = {name: names[0] for names in twins.values() for name in names}
    joined = [Row(row.id, row.place, name_of[row.value], row.split, row.source) for row in rows]
    return joined, tuple(
        f"Folders {' and '.join(map(_quoted, sorted(names)))} differ in case or "
        f"composition alone and are one class, {names[0]!r}."
        for names in several
    )


def _quoted(name: str) -> str:
    """A name in quotes; composed letters are written out, as they look alike."""
    return repr(name) if name.isascii() else ascii(name)


def _labelled(rows: list[Row], in_splits: bool) -> tuple[list[Row], tuple[str, ...]]:
    """Without items in folders such as `_background_noise_`, or `unsup` in splits."""
    every = {row.value for row in rows}
    without = {name for name in every if in_splits and split_of(name) == UNLABELLED}
    names = without | {*filter(named_aside, every)}
    if not names or len(every) < len(names) + 2:
        return rows, ()
    others = [row for row in rows if row.value not in names]
    return others, tuple(
        f"Folder {name!r} holds items without labels and is not used."
        if name in without
        else f"Folder {name!r} begins with an underscore, names no class and is not used."
        for name in sorted(names)
    )


def _split_names(layout: _Layout, classes: Classes) -> dict[str, str]:
    """Each split and the data set's own word for it, the first where there are several."""
    if classes.split:  # which lie below the classes
        return {split_of(name) or "": name for name in reversed(classes.split.names)}
    names = {split: folder.name for folder, split in reversed(layout.roots) if split}
    others = (*layout.empty, *layout.listed)
    return names | {folder.split or "": folder.name for folder in others}


def _empty(folders: Sequence[Folder], classes: Classes) -> Iterator[str]:
    if classes.level.number == 1:
        empty = (each for folder in folders for each in folder.folders if not each.items)
        names = (f.name for f in empty if not (f.tables or lists_items(f.name)))
        yield from (n for n in dict.fromkeys(names) if not _is_no_class(n))


def _is_no_class(name: str) -> bool:
    return marks_items(name) or only_part([name]) or named_aside(name)


def _others(folders: Sequence[Folder]) -> Mapping[str, int]:
    """How many files in class folders are no items."""
    inner = (each for root in folders for top in root.folders for each, _ in top.below())
    count = sum(len(each.others) + len(each.tables) for each in inner)
    return {_OTHER: count} if count else {}


def _warnings(layout: _Layout, stray: Mapping[str, int]) -> Iterator[str]:
    what = "splits" if layout.roots[0][1] else "classes, whose names it holds again,"
    for folder in layout.beside:
        yield f"Folder {folder.name!r} lies beside the {what} and is not used."
    for folder in layout.flat:
        what = "1 file" if folder.items == 1 else f"{folder.items} files"
        yield f"Folder {folder.name!r} holds {what} without labels and is not used."
    for name, count in stray.items():
        of = f" of {name!r}" if name else ""
        what = "1 file{} lies" if count == 1 else f"{count} files{{}} lie"
        yield f"{what.format(of)} in no class and {'is' if count == 1 else 'are'} not used."


def demand_no_boxes(path: Path, top: Folder) -> None:
    """Raise DataError where the layout is one of Roboflow's, COCO's, YOLO's or Pascal VOC's."""
    for folder, way in top.below():
        sign = _sign(folder) if len(way) <= _DEPTH else None
        if sign:
            place = "/".join((*way, sign))
            raise DataError(
                f"{path} is a data set for detection ({place}): it has no class for a whole "
                "picture, and no box was read. Correct its annotations and give --targets boxes, "
                "or export it for classification, with one folder per class."
            )


def _sign(folder: Folder) -> str | None:
    for name in (*folder.others, *folder.tables, *folder.files):
        if name.startswith("_annotations.") or (
            name.startswith("instances_") and name.endswith(".json")  # as COCO itself is
        ):
            return name
    for pictures, boxes, suffix in (
        ("images", "labels", ".txt"),
        ("JPEGImages", "Annotations", ".xml"),
        ("images", "annotations", ".xml"),
    ):
        beside, marks = folder.folder(pictures), folder.folder(boxes)
        if beside and marks and any(_marks(each, suffix) for each in (marks, *marks.folders)):
            return marks.name
    return None


def _marks(folder: Folder, suffix: str) -> bool:
    names = (*folder.others, *folder.files)
    return bool(names) and all(name.endswith(suffix) for name in names)
