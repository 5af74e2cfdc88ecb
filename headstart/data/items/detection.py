"""Data sets whose labels are boxes: told apart, since they name no class for a whole picture."""

from __future__ import annotations

from pathlib import Path

from headstart.data.trees import Folder
from headstart.errors import DataError

_DEPTH = 3  # folders down to where signs are looked for


def demand_no_boxes(path: Path, top: Folder) -> None:
    """Raise DataError where the layout is one of Roboflow's, COCO's, YOLO's or Pascal VOC's."""
    for folder, way in top.below():
        sign = _sign(folder) if len(way) <= _DEPTH else None
        if sign:
            place = "/".join((*way, sign))
            raise DataError(
                f"{path} is a data set for detection ({place}): it has boxes, and no class for a "
                "whole picture. Export it for classification, with one folder per class."
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
