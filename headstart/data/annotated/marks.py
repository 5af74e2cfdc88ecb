"""What annotators marked in pictures, whatever file says it, and what was wrong with it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from headstart.contracts.cells import number
from headstart.data.sources import Source

KIND: Final = "boxes"
CROWD: Final = "it marks a crowd and no single object; left out"
Corners = tuple[float, float, float, float]  # left, top, right, bottom
Fault = tuple[str, str]  # where it is, and what is wrong and was done


def is_json_with(path: Path, *names: str) -> bool:
    """Whether a file is called JSON and has all of these names in it."""
    try:
        content = path.read_bytes() if path.suffix.lower() == ".json" else b""
    except OSError:
        return False
    return all(f'"{name}"'.encode() in content for name in names)


@dataclass(frozen=True)
class Box:
    """One object: its class, its corners as they were written, and the place of that."""

    label: str
    corners: Corners
    place: str


@dataclass(frozen=True)
class Marked:
    """A picture and its boxes, in pixels, or in shares of its sides.

    `file` is its name as the annotation has it, from the folder `base`; `source` are its bytes,
    where a table holds them. `size` is the width and height that the annotation says. Without an
    annotation, `missing` says so.
    """

    file: str
    place: str
    boxes: tuple[Box, ...] = ()
    size: tuple[float, float] | None = None
    split: str | None = None
    base: Any = None
    source: Source | None = None
    shares: bool = False
    missing: str = ""


@dataclass
class Reading:
    """What one format says of a data set: pictures, faults by place, sentences, splits' words."""

    form: str
    pictures: list[Marked] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    words: dict[str, str] = field(default_factory=dict)
    shapes: int = 0  # polygons and the like, read as the boxes around them
    difficult: int = 0  # objects that are marked so, as Pascal VOC does
    passed: int = 0  # regions that are no objects, such as KITTI's `DontCare`

    def shape(
        self, label: Any, xs: Sequence[Any], ys: Sequence[Any], place: str, *, is_box: bool = False
    ) -> Box | None:
        """The box around points; None, with the fault written down, where they are none."""
        points = [number(value) for value in (*xs, *ys)]
        if len(xs) != len(ys) or not xs or any(each is None for each in points):
            self.faults.append((place, f"{shown([*xs, *ys])} are no points; left out"))
            return None
        across, down = points[: len(xs)], points[len(xs) :]
        sides = (min, across), (min, down), (max, across), (max, down)
        box = self.box(label, [most(e for e in own if e is not None) for most, own in sides], place)
        self.shapes += box is not None and not is_box
        return box

    def box(self, label: Any, values: Iterable[Any], place: str) -> Box | None:
        """A box from four cells; None, with the fault written down, where they are none."""
        cells = list(values)
        numbers = [number(cell) for cell in cells]
        name = "" if label is None else str(label).strip()
        if len(numbers) != 4 or any(each is None for each in numbers):
            self.faults.append((place, f"{shown(cells)} is no box of four numbers; left out"))
            return None
        if not name:
            self.faults.append((place, "the box has no class; left out"))
            return None
        left, top, right, bottom = (float(each) for each in numbers if each is not None)
        return Box(name, (left, top, right, bottom), place)


def from_extent(values: Sequence[Any]) -> list[Any]:
    """Corners of a box given by its left, top, width and height; other cells as they are."""
    numbers = [number(value) for value in values]
    if len(numbers) != 4 or any(each is None for each in numbers):
        return list(values)
    left, top, width, height = (float(each) for each in numbers if each is not None)
    return [left, top, left + width, top + height]


def ends(centre: Any, radius: Any) -> list[Any]:
    """Both ends of what is round along one side; other cells as they are."""
    middle, reach = number(centre), number(radius)
    return [centre] if middle is None or reach is None else [middle - reach, middle + reach]


def around(points: Sequence[Any]) -> list[float] | None:
    """Corners of what surrounds a polygon x, y, x, y …; None for anything else."""
    numbers = [number(value) for value in points]
    sound = [each for each in numbers if each is not None and math.isfinite(each)]
    if len(sound) < 6 or len(sound) != len(numbers) or len(sound) % 2:
        return None
    return [min(sound[::2]), min(sound[1::2]), max(sound[::2]), max(sound[1::2])]


def shown(value: Any) -> str:
    """A value as a message shows it."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
