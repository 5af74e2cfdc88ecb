"""YOLO's text files: one a picture, a class number and shares of the picture's sides a line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from headstart.contracts.cells import number
from headstart.data.annotated.marks import Box, Marked, Reading, around, shown
from headstart.data.sources import FileSource
from headstart.data.trees import Folder
from headstart.errors import DataError

_NAMES = ("classes.txt", "obj.names", "labels.txt", "_darknet.labels")
_PASSED = frozenset({*_NAMES, "notes.txt", "readme.txt", "train.txt", "val.txt", "test.txt"})
_MOST = 1 << 20  # bytes of a list of classes
_LOOKED = 20  # files that are looked at to tell the format
_CLASSES = 100_000  # the most that a mapping numbers
_FAR = 1.5  # of a side, beyond which a number is a share of nothing


def is_yolo(top: Folder) -> bool:
    """Whether pictures here have files of numbers beside them, or in `labels`."""
    texts = [text for *_, text in _pairs(top) if text is not None][:_LOOKED]
    return any(_is_row(line) for text in texts for line in _head(text))


def read(top: Folder, into: Reading) -> None:
    """Add all pictures that a file may lie beside; without one they hold no object."""
    names, remark = _class_names(top)
    into.remarks += [remark] if remark else []
    for folder, split, file, text in _pairs(top):
        path = folder.path / file
        place = text.name if text else file
        boxes: list[Box] = []
        try:
            lines, missing = _lines(text) if text else [], ""
        except DataError as error:
            lines, missing = [], str(error).rpartition(". ")[0]
        for count, line in enumerate(lines, start=1):
            box = _box(line, names, f"{place} line {count}", into)
            boxes += [box] if box else []
        own = tuple(boxes)
        into.pictures.append(
            Marked(file, place, own, None, split, path.parent, shares=True, missing=missing)
        )


def _pairs(top: Folder) -> Iterator[tuple[Folder, str | None, str, Path | None]]:
    """Each picture with its folder, split and text file, where the folder has any of them."""
    texts = {
        (folder.path, Path(name).stem): folder.path / name
        for folder, _ in top.below()
        for name in (*folder.tables, *folder.others)
        if name.lower().endswith(".txt") and name.lower() not in _PASSED
    }
    having = {path for path, _ in texts}
    for folder, way in top.below():
        beside = _labels(folder.path, top.path)
        places = [each for each in (*beside, folder.path) if each in having]
        if not places:
            continue
        split = _split(top, way)
        for name in folder.files:
            stem = Path(name).stem
            text = next((texts[p, stem] for p in places if (p, stem) in texts), None)
            yield folder, split, name, text


def _labels(folder: Path, top: Path) -> list[Path]:
    """The folders of labels that belong to a folder of pictures."""
    inner = folder.relative_to(top).parts
    return [
        top.joinpath(*inner[:place], "labels", *inner[place + 1 :])
        for place, name in reversed(list(enumerate(inner)))
        if name.lower() in ("images", "imgs", "jpegimages")
    ]


def _split(top: Folder, way: Sequence[str]) -> str | None:
    folder: Folder | None = top
    for name in way:
        folder = folder.folder(name) if folder else None
        if folder and folder.split in ("train", "validation", "test"):
            return folder.split
    return None


def _lines(path: Path) -> list[str]:
    text = FileSource(path).read().decode("utf-8-sig", "replace")
    return [line for line in text.splitlines() if line.strip()]


def _head(path: Path) -> list[str]:
    with suppress(DataError):
        return _lines(path)[:3]
    return []


def _is_row(line: str) -> bool:
    cells = [number(cell) for cell in line.split()]
    return len(cells) >= 5 and all(cell is not None for cell in cells)


def _box(line: str, names: Sequence[str], place: str, into: Reading) -> Box | None:
    cells = line.split()
    kind, numbers = number(cells[0]), [number(cell) for cell in cells[1:]]
    fault = ""
    if kind is None or kind != int(kind) or kind < 0:
        fault = f"{shown(cells[0])} is no number of a class; left out"
    elif names and kind >= len(names):
        fault = f"class {int(kind)} is none of the {len(names)} that are named; left out"
    elif len(numbers) < 4 or any(each is None for each in numbers):
        fault = f"{shown(line.strip())} is no class with four numbers; left out"
    elif any(each is not None and abs(each) > _FAR for each in numbers[:4]):
        fault = f"{shown(line.strip())} holds pixels in the place of shares; left out"
    if fault:
        into.faults.append((place, fault))
        return None
    label = names[int(kind or 0)] if names else str(int(kind or 0))
    corners = around(numbers) if len(numbers) >= 6 else None
    if corners is None:
        x, y, width, height = (float(each or 0) for each in numbers[:4])
        corners = [x - width / 2, y - height / 2, x + width / 2, y + height / 2]
    return into.box(label, corners, place)


def _class_names(top: Folder) -> tuple[list[str], str]:
    """The classes by number, of `data.yaml` or a list of them, and a sentence if there is none."""
    for folder, _ in top.below():
        for name in (*folder.others, *folder.tables):
            path = folder.path / name
            if path.suffix.lower() in (".yaml", ".yml"):
                names = _of_yaml(path)
                if names:
                    return names, ""
    for folder, _ in top.below():
        for name in (*folder.others, *folder.tables):
            if name.lower() in _NAMES:
                return [line.strip() for line in _lines(folder.path / name)], ""
    return [], "no data.yaml or classes.txt names the classes, which go by their numbers"


def _of_yaml(path: Path) -> list[str]:
    """`names` of a data.yaml, a list or a mapping by number. Raises DataError for a broken file."""
    import yaml

    try:
        with path.open("rb") as file:
            content = file.read(_MOST)
        document: Any = yaml.safe_load(content)
    except (OSError, yaml.YAMLError, ValueError, RecursionError) as error:
        why = " ".join(str(error).split())[:120]
        raise DataError(f"{path} can't be read: {why}. Correct the file.") from None
    names = document.get("names") if isinstance(document, dict) else None
    if isinstance(names, str):
        raise DataError(
            f"{path} has one name, {names[:40]!r}, in the place of a list. Write [{names[:40]}]."
        )
    values = names.values() if isinstance(names, dict) else names if isinstance(names, list) else ()
    if not all(isinstance(value, str | int | float) for value in values):  # or what they repeat
        raise DataError(f"{path} has names of classes that are no words. Correct the file.")
    if isinstance(names, dict):
        whole = {n: place for n in names if (place := number(n)) is not None and place < _CLASSES}
        numbered = {int(place): str(names[n]) for n, place in whole.items()}
        return [numbered.get(n, str(n)) for n in range(max(numbered, default=-1) + 1)]
    return [str(name) for name in names] if isinstance(names, list) else []
