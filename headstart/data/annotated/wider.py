"""WIDER FACE's lists: a picture's path, how many faces, and four numbers and marks for each."""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path
from typing import Final

from headstart.contracts.cells import number
from headstart.data.annotated.marks import Box, Marked, Reading, from_extent
from headstart.data.tables.text import opened
from headstart.errors import DataError

_CLASS: Final = "face"  # the only one there is
_INVALID: Final = 7  # the column of a mark on faces that are none
_COUNT: Final = re.compile(r"\d{1,9}", re.ASCII)


def is_wider(path: Path) -> bool:
    """Whether a text called after the truth begins with a path, a count and a face."""
    if path.suffix.lower() != ".txt" or "gt" not in path.stem.lower():
        return False
    try:
        with opened(path) as file:
            start = [line.strip() for line in islice(file, 3)]
    except DataError:
        return False
    return (
        len(start) == 3
        and bool(Path(start[0]).suffix and _COUNT.fullmatch(start[1]))
        and _face(start[2])
    )


def read(path: Path, split: str | None, into: Reading) -> None:
    """Add what a list says. Raises DataError where it can't be read."""
    with opened(path) as file:
        lines = [line.strip() for line in file]
    place = 0
    while place + 1 < len(lines):
        where, name, count = f"{path.name} line {place + 1}", lines[place], lines[place + 1]
        if not _COUNT.fullmatch(count):
            into.faults.append((where, "no count of faces follows it; left out"))
            place += 1
            continue
        faces = lines[place + 2 : place + 2 + int(count)]
        boxes = [
            _box(line, f"{path.name} line {place + 3 + n}", into) for n, line in enumerate(faces)
        ]
        sound = tuple(box for box in boxes if box is not None)
        into.pictures.append(Marked(name, where, sound, split=split, base=path.parent))
        none = count == "0" and place + 2 < len(lines) and _face(lines[place + 2])
        place += 2 + len(faces) + none  # a line of zeros stands for no face


def _box(line: str, place: str, into: Reading) -> Box | None:
    cells = line.split()
    if len(cells) > _INVALID and cells[_INVALID] == "1":
        into.faults.append((place, "it is marked as invalid; left out"))
        return None
    return into.box(_CLASS, from_extent(cells[:4]), place)


def _face(line: str) -> bool:
    cells = line.split()
    return len(cells) >= 4 and all(number(cell) is not None for cell in cells)
