"""Pictures with boxes drawn on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from PIL import Image, ImageDraw, ImageFont

_COLOURS: Final = (
    *("#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#008080", "#9a6324", "#800000"),
    *("#808000", "#000075", "#f032e6", "#469990"),
)
_LINE: Final = 200  # of a picture's longer side to a pixel of a line


def with_boxes(
    picture: Image.Image, boxes: Sequence[Mapping[str, Any]], scale: float = 1.0, colour: str = ""
) -> Image.Image:
    """A copy of a picture with boxes, each under its label and score.

    A box has `label`, `box` (left, top, right, bottom), multiplied by `scale` to be pixels of this
    picture, and perhaps `score`. Labels have colours of their own unless one is given.
    """
    canvas = picture.convert("RGB")
    pen, width = ImageDraw.Draw(canvas), max(1, round(max(picture.size) / _LINE))
    size = max(9, 4 * width + 6)
    font = ImageFont.load_default(size=size)
    labels = sorted({str(each["label"]) for each in boxes})
    for each in sorted(boxes, key=lambda box: box.get("score", 1.0)):
        own = colour or _COLOURS[labels.index(str(each["label"])) % len(_COLOURS)]
        left, top, right, bottom = (scale * side for side in each["box"])
        if right <= left or bottom <= top:
            continue
        pen.rectangle((left, top, right, bottom), outline=own, width=width)
        score = f" {each['score']:.2f}" if "score" in each else ""
        text = f"{each['label']}{score}"
        place = (left, max(0.0, top - size - 2 * width))
        pen.rectangle(pen.textbbox(place, text, font=font), fill=own)
        pen.text(place, text, fill="white", font=font)
    return canvas
