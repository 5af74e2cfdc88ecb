"""KITTI's text files, also TAO's: one a picture, a class and 14 numbers a line, in pixels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from headstart.contracts.cells import number
from headstart.data.annotated.marks import Box, Marked, Reading, shown
from headstart.data.tables.text import opened
from headstart.data.trees import Folder
from headstart.errors import DataError

_COLUMNS = (15, 16)  # the last is a score, in files of answers
_BOX = slice(4, 8)  # left, top, right and bottom
_NO_OBJECT = "dontcare"
_LOOKED = 20  # files that are looked at to tell the format


def is_kitti(top: Folder) -> bool:
    """Whether text files here are of this form."""
    texts = [path for _, _, path in _texts(top)][:_LOOKED]
    return any(_is_row(line) for path in texts for line in _head(path))


def read(top: Folder, into: Reading, unmarked: str) -> None:
    """Add each picture beside such files, or in the folder called `image…` beside `label…`.

    One without a file of its own is missing, for the reason `unmarked`.
    """
    folders = {folder.path: folder for folder, _ in top.below() if folder.files}
    labels: dict[Path, dict[str, tuple[Path, str | None]]] = {}
    for folder, split, path in _texts(top):
        pictures = next((each for each in _places(folder) if each in folders), None)
        if pictures:
            labels.setdefault(pictures, {})[path.stem] = path, split
    for place, texts in labels.items():
        for name in folders[place].files:
            own = texts.get(Path(name).stem)
            if own is None:
                into.pictures.append(Marked(name, name, base=place, missing=unmarked))
                continue
            path, split = own
            try:
                boxes, missing = tuple(_boxes(path, into)), ""
            except DataError as error:
                boxes, missing = (), str(error).rpartition(". ")[0]
            into.pictures.append(
                Marked(name, path.name, boxes, split=split, base=place, missing=missing)
            )


def _boxes(path: Path, into: Reading) -> Iterator[Box]:
    for count, line in enumerate(_lines(path), start=1):
        place, cells = f"{path.name} line {count}", line.split()
        if cells[0].lower() == _NO_OBJECT:
            into.passed += 1
            continue
        if not _is_row(line):
            fault = f"{shown(line.strip())} is no class with 14 numbers; left out"
            into.faults.append((place, fault))
            continue
        box = into.box(cells[0], cells[_BOX], place)
        if box is not None:
            yield box


def _texts(top: Folder) -> Iterator[tuple[Path, str | None, Path]]:
    """The folder, its split and the path of each text beside pictures, or called after labels."""
    for folder, way in top.below():
        split, inner = None, top
        for name in way:
            inner = inner.folder(name) or inner
            split = inner.split if inner.split in ("train", "validation", "test") else split
        names = [name for name in folder.others if name.lower().endswith(".txt")]
        named = any("label" in name.lower() for name in way[-2:])
        if names and (named or folder.files):
            yield from ((folder.path, split, folder.path / name) for name in names)


def _places(folder: Path) -> Iterator[Path]:
    """Where the pictures of a folder of labels may lie: `image_2` beside `label_2`."""
    yield folder
    for inner in (folder, folder.parent):
        name = inner.name.lower().replace("label", "image")
        if name != inner.name.lower():
            yield inner.with_name(name) / folder.relative_to(inner)


def _is_row(line: str) -> bool:
    cells = line.split()
    numbers = [number(cell) is not None for cell in cells]
    return len(cells) in _COLUMNS and not numbers[0] and all(numbers[1:])


def _lines(path: Path) -> list[str]:
    with opened(path) as file:
        return [line for line in file if line.strip()]


def _head(path: Path) -> list[str]:
    with suppress(DataError):
        return _lines(path)[:3]
    return []
