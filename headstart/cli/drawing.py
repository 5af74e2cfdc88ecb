"""What `predict --draw` writes: each picture with the boxes that were found in it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from PIL import Image

from headstart.data import Input
from headstart.errors import HeadstartError
from headstart.report.drawing import with_boxes
from headstart.runtime.places import demand_path
from headstart.serve import Predictions, Predictor

_WIDEST = 4096  # px of a drawn picture's side
_AS_SEEN = {"channels": 3, "crop": 1.0, "crop_mode": "whole", "interpolation": "bilinear"}
_AS_SEEN |= {"mean": (), "std": (), "height": _WIDEST, "width": _WIDEST}


def demand_boxes(predictor: Predictor, draw: str | None) -> None:
    """Raise HeadstartError where there are no boxes to draw, or no folder to draw into."""
    if draw is None:
        return
    if predictor.task.kind != "boxes":
        raise HeadstartError(
            f"--draw shows boxes, and the model answers with {predictor.task.kind}. "
            f"Leave it out{'' if predictor.task.reads_maps else ', or give --explain'}."
        )
    demand_path(draw)
    if Path(draw).exists() and not Path(draw).is_dir():
        raise HeadstartError(f"{draw} is a file. Name a folder for the pictures.")


def draw_into(
    predictor: Predictor, folder: Path, inputs: Iterable[Input], predictions: Predictions
) -> str:
    """Write a picture for each answer, and answer with a sentence on them. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    used_names: set[str] = set()
    count = 0
    for each, prediction in zip(inputs, predictions, strict=True):
        if prediction.error:
            continue
        pixels: Any = predictor.reader.modality.decode(each.item.read(), _AS_SEEN)
        picture = Image.fromarray(pixels.transpose(1, 2, 0))
        width, _ = prediction.answer["size"]
        annotated = with_boxes(picture, prediction.answer["boxes"], picture.width / width)
        name, number = Path(each.name).stem or "picture", 1
        while name in used_names:  # pictures of one name from several folders
            number += 1
            name = f"{Path(each.name).stem}-{number}"
        used_names.add(name)
        annotated.save(folder / f"{name}.jpg", "JPEG", quality=90)
        count += 1
    return f"{count} pictures with their boxes are in {folder}."
