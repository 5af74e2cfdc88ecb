"""Boxes: any number of objects in a picture, each with its class and its corners."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, final

import numpy as np

from headstart.contracts.boxes import BOX_FORMS
from headstart.contracts.labels import (
    FEW,
    Items,
    LabelRow,
    Names,
    Splits,
    demand_known,
    several,
)
from headstart.contracts.targets import Encoding, Targets
from headstart.errors import DataError

_SMALL: Final = 32.0**2  # px² below which COCO calls an object small
_INPUT: Final = 416  # px, that most small detectors see a picture in
_SEEN: Final = 8.0  # px of a side there, below which an object is hardly seen


@final
class Boxes(Targets):
    """Objects with upright boxes in pixels; a picture may hold none.

    Written as JSON: the picture's `size`, and of each box its class and its corners. Encoded as
    float32 (N, 1 + most, 5): first width, height and how many boxes there are, then left, top,
    right and bottom of each in units of the picture's longer side, and the number of its class; -1
    in what is left.
    """

    name: ClassVar[str] = "boxes"
    words: ClassVar[tuple[str, str]] = ("class", "classes")
    encoding: ClassVar[Encoding] = Encoding.OTHER
    contradict: ClassVar[bool] = False  # whoever draws a box twice draws it otherwise

    def read(self, row: LabelRow) -> str | None:
        """The boxes as they were written down. Raises DataError for a label of another kind."""
        value = row.value
        if value is None or value == "":
            return None
        try:
            label = json.loads(value)
            right = set(label) == {"size", "boxes"}
        except (ValueError, TypeError, RecursionError):
            right = False
        if not right:
            raise DataError(
                f"{row.place} has {str(value)[:40]!r} as its label, which are no boxes. "
                f"Give {BOX_FORMS}."
            )
        return str(value)

    def names(self, path: Path, items: Items, columns: Names) -> tuple[str, ...]:
        """The classes of all boxes, sorted. Raises DataError where no picture has one."""
        names = {name for item in items for name in _classes(item.label)}
        if not names:
            raise DataError(f"{path} has no box in any picture. Annotate some.")
        return tuple(sorted(names))

    def recognise(self, path: Path, items: Items, names: Names) -> None:
        """Raise DataError for a class that is not known."""
        demand_known(path, {name for item in items for name in _classes(item.label)}, names)

    def encode(self, labels: Sequence[str], names: Names) -> np.ndarray:
        """Size and boxes of each picture, (N, 1 + most, 5) float32."""
        numbers = {name: number for number, name in enumerate(names)}
        every = [json.loads(label) for label in labels]
        most = max((len(each["boxes"]) for each in every), default=0)
        rows = np.full((len(every), 1 + max(most, 1), 5), -1, dtype=np.float32)
        for row, each in zip(rows, every, strict=True):
            width, height = each["size"]
            row[0] = width, height, len(each["boxes"]), 0, 0
            for place, (name, *corners) in enumerate(each["boxes"], start=1):
                row[place, :4] = np.array(corners) / max(width, height)
                row[place, 4] = numbers[name]
        return rows

    def brief(self, label: str) -> str:
        """The classes of its boxes, each once."""
        return ", ".join(sorted(set(_classes(label)))) or "none"

    def count(self, items: Items, names: Names) -> dict[str, int]:
        """Boxes of each class."""
        counts = Counter(name for item in items for name in _classes(item.label))
        return {name: counts[name] for name in names}

    def heading(self, names: Names) -> str:
        """`with boxes of 3 classes`."""
        return f"with boxes of {len(names)} {'class' if len(names) == 1 else 'classes'}"

    def spread(self, items: Items, names: Names) -> str:
        """How many boxes there are, and how many pictures have none."""
        counts = [len(_classes(item.label)) for item in items]
        bare = counts.count(0)
        parts = [f"{sum(counts)} boxes"] + ([f"{bare} pictures without any"] if bare else [])
        return ", ".join(parts)

    def warnings(self, splits: Splits, names: Names) -> list[str]:
        """Rare, missing and alike classes, and objects too small to be seen."""
        train = splits.get("train", ())
        counts = self.count(train, names)
        never = [repr(name) for name, count in counts.items() if not count]
        rare = [f"{name!r} {count}" for name, count in counts.items() if 0 < count < FEW]
        sentences = []
        if train and never:
            sentences.append(f"Classes without a training box: {several(never)}.")
        if train and rare:
            sentences.append(f"Classes of fewer than {FEW} training boxes: {several(rare)}.")
        return [*sentences, *_twins(names), *_sizes(train)]

    def demand_variety(self, path: Path, train: Items, names: Names) -> None:
        """Raise DataError where no training picture has a box, or all have the same."""
        if not any(_classes(item.label) for item in train):
            raise DataError(f"{path} has no box in any training picture. Annotate some.")
        if len(train) == 1:
            raise DataError(f"{path} leaves one picture for training. Give more pictures.")
        super().demand_variety(path, train, names)

    def unvarying(self, path: Path, label: str) -> DataError:
        """The error where all pictures have the same boxes."""
        return DataError(f"{path} has the same boxes in every picture. Give some that differ.")

    def task_settings(self, targets: np.ndarray, names: int, weigh: bool) -> dict[str, Any]:
        """None."""
        return {}


def _classes(label: str) -> list[str]:
    return [name for name, *_ in json.loads(label)["boxes"]]


def _twins(names: Names) -> list[str]:
    first: dict[str, str] = {}
    pairs = [(first.setdefault(name.casefold(), name), name) for name in names]
    twins = [f"{one!r} and {other!r}" for one, other in pairs if one != other]
    if not twins:
        return []
    return [
        f"Classes {several(twins)} differ in case alone and are two classes. "
        "Write them the same way if they are one."
    ]


def _sizes(items: Items) -> list[str]:
    """What the sizes of boxes say of the size that pictures are seen in."""
    sides, small = [], 0
    for item in items:
        label = json.loads(item.label)
        longer = max(label["size"])
        for _, left, top, right, bottom in label["boxes"]:
            sides.append(min(right - left, bottom - top) / longer * _INPUT)
            small += (right - left) * (bottom - top) < _SMALL
    if not sides:
        return []
    hidden = sum(side < _SEEN for side in sides)
    if hidden < 0.1 * len(sides):
        return []
    larger = int(np.ceil(_INPUT * _SEEN / max(np.quantile(sides, 0.1), 0.1) / 32) * 32)
    return [
        f"{hidden} of {len(sides)} training boxes are under {_SEEN:g} pixels wide or high in a "
        f"picture of {_INPUT} ({small} are small by COCO's measure), and will hardly be found. Cut "
        f"pictures into tiles, or use a detector with an input of {min(larger, 4096)} or more."
    ]
