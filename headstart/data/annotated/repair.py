"""Boxes as a picture can hold them: repaired, or left out, and why."""

from __future__ import annotations

import math
from collections.abc import Sequence

from headstart.contracts.places import Extent
from headstart.data.annotated.marks import Corners, Fault, Marked

LEAST = 1.0  # px of a side, below which a box is none
GIANT = 0.995  # of the picture's area
_ASPECT = 0.02  # by which ratios of sides may differ that are meant alike
_SAME = 1.0  # px by which a box may be off another and still repeat it

Sound = tuple[list[tuple[str, Corners]], list[Fault], str]


def repaired(marked: Marked, extent: Extent) -> Sound:
    """The boxes in pixels of the upright picture, what was wrong, and why none can be used.

    The last is empty where they can. What is wholly wrong is left out, what is meant is put right.
    """
    size = (float(extent.width), float(extent.height))
    faults: list[Fault] = []
    turn, remark = _frame(marked, extent)
    if turn is None:
        return [], [], remark
    if remark and marked.boxes:
        faults.append((marked.place, remark))
    sound: list[tuple[str, Corners]] = []
    for box in marked.boxes:
        ordered, swapped = _ordered(box.corners)
        corners, fault = _inside((_ordered(turn.of(ordered))[0], swapped), size)
        if corners is not None and _repeats(box.label, corners, sound):
            corners, fault = None, "it repeats another box; left out"
        if fault:
            faults.append((box.place, fault))
        if corners is not None:
            sound.append((box.label, corners))
    return sound, faults, ""


class _Turn:
    """From what an annotation counts in to pixels of the upright picture."""

    def __init__(self, across: float, down: float, frame: tuple[float, float], turn: int) -> None:
        self.across, self.down, self.frame, self.turn = across, down, frame, turn

    def of(self, corners: Corners) -> Corners:
        """Corners, scaled and turned by quarters clockwise, mirrored where it is above 3."""
        left, top, right, bottom = corners
        xs, ys = (left * self.across, right * self.across), (top * self.down, bottom * self.down)
        points = [_turned(x, y, self.frame, self.turn) for x, y in zip(xs, ys, strict=True)]
        return points[0][0], points[0][1], points[1][0], points[1][1]


def _turned(x: float, y: float, frame: tuple[float, float], turn: int) -> tuple[float, float]:
    width, height = frame
    if turn > 3:
        x, turn = width - x, turn - 4
    return ((x, y), (height - y, x), (width - x, height - y), (y, width - x))[turn]


def _frame(marked: Marked, extent: Extent) -> tuple[_Turn | None, str]:
    """How its boxes become pixels of the picture, and what is to be said of that.

    None, and why, where the annotation is of a picture of another shape.
    """
    upright = float(extent.width), float(extent.height)
    stored_size = upright[::-1] if extent.sideways else upright
    if marked.shares:
        return _Turn(upright[0], upright[1], upright, 0), ""
    size = marked.size
    is_size = size is not None and all(math.isfinite(side) and side >= 1 for side in size)
    if size is None or not is_size or size == upright:
        return _Turn(1.0, 1.0, upright, 0), ""
    if extent.turn and size == stored_size:
        remark = "its boxes were drawn before the picture was turned as its EXIF says, and turn too"
        return _Turn(1.0, 1.0, stored_size, extent.turn), remark
    across, down = upright[0] / size[0], upright[1] / size[1]
    if abs(across / down - 1) <= _ASPECT:
        remark = f"its boxes are of {_by(size)} pixels and the picture is {_by(upright)}: scaled"
        return _Turn(across, down, upright, 0), remark
    return None, f"its boxes are of {_by(size)} pixels, and the picture is {_by(upright)}"


def _by(size: tuple[float, float]) -> str:
    return f"{size[0]:g}x{size[1]:g}"


def _ordered(corners: Corners) -> tuple[Corners, bool]:
    left, top, right, bottom = corners
    ordered = min(left, right), min(top, bottom), max(left, right), max(top, bottom)
    return ordered, ordered != corners


def _inside(box: tuple[Corners, bool], size: tuple[float, float]) -> tuple[Corners | None, str]:
    """The part of a box in the picture, None where there is none; and what was wrong."""
    (left, top, right, bottom), swapped = box
    width, height = size
    cut = max(0.0, left), max(0.0, top), min(width, right), min(height, bottom)
    if right - left < LEAST or bottom - top < LEAST:
        return None, f"it is {right - left:g}x{bottom - top:g} pixels large; left out"
    if cut[2] - cut[0] < LEAST or cut[3] - cut[1] < LEAST:
        return None, f"it lies outside the picture of {_by(size)}; left out"
    over = max(-left, -top, right - width, bottom - height)
    if over > _SAME:  # what is less is a matter of counting from 0 or 1
        return cut, f"it reaches {over:g} pixels beyond the picture of {_by(size)}; cut there"
    if (cut[2] - cut[0]) * (cut[3] - cut[1]) >= GIANT * width * height:
        return cut, "it is as large as the picture; kept"
    return cut, "its corners were the wrong way round; put right" if swapped else ""


def _repeats(label: str, corners: Corners, boxes: Sequence[tuple[str, Corners]]) -> bool:
    return any(
        label == other and max(abs(a - b) for a, b in zip(corners, own, strict=True)) < _SAME
        for other, own in boxes
    )
