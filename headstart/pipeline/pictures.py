"""What a page shows of the items that findings name, and of why a model errs."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from PIL import Image

from headstart.contracts import Modality
from headstart.data import Item
from headstart.errors import HeadstartError
from headstart.report.contents import MOST_CARDS, NEAREST, explained, large, sound
from headstart.report.drawing import with_boxes
from headstart.report.thumbnails import LARGE, SIDE, clip, of_picture, thumbnail
from headstart.runtime.progress import Progress
from headstart.serve import Predictor

if TYPE_CHECKING:  # so that frozen features need no torch
    from headstart.explain import Explanation

COUNT = 6  # mistakes that are explained; each takes up to a second or two
_WORDS = 6  # of a text, those that count most
PICTURED = 400  # points of the map that show their item when pointed at


def pictured(
    findings: Mapping[str, Any], items: Sequence[Item], modality: Modality
) -> dict[str, str]:
    """The items that findings name, by id: thumbnails, or the texts.

    Pictures on cards are there large too, under a key of their own, where they are larger, and what
    can be heard of items on cards under another.
    """
    on_page, on_cards = (set(ids(findings.get("items", {}))) for ids in (_on_page, _on_cards))
    pictures_drawn = (findings.get("boxes") or {}).get("drawn") or {}
    on_page |= pictures_drawn.keys()
    pictures = {}
    for item in items:
        if item.id not in on_page:
            continue
        raw = item.read()
        text = modality.wording(raw)
        if text is not None:
            pictures[item.id] = text
            continue
        marks, on_card = (
            pictures_drawn.get(item.id),
            item.id in on_cards or item.id in pictures_drawn,
        )
        pixels = modality.shown(raw, LARGE if on_card else SIDE)
        if pixels is None:
            continue
        picture = Image.fromarray(pixels)
        if marks:
            picture = _with_boxes(picture, marks)
        if on_card and max(picture.size) > SIDE:
            pictures[large(item.id)] = of_picture(picture, LARGE)
        pictures[item.id] = of_picture(picture)
        played = modality.played(raw) if item.id in on_cards else None
        if played is not None:
            pictures[sound(item.id)] = clip(played)
    return pictures


def _with_boxes(picture: Image.Image, marks: Mapping[str, Any]) -> Image.Image:
    """A picture with what is marked in green and what was found in red."""
    scale = picture.width / marks["size"][0]
    for name, colour in (("truth", "#2e8b57"), ("found", "#d62728")):
        picture = with_boxes(picture, marks[name], scale, colour)
    return picture


def _on_cards(items: Mapping[str, Any]) -> Iterator[str]:
    """The ids of the items on cards, and of those beside them."""
    for name in ("mistakes", "ambiguous", "suspects"):
        for row in (items.get(name) or ())[:MOST_CARDS]:
            yield row["id"]
            yield from ((items.get("nearest") or {}).get(row["id"]) or ())[:NEAREST]


def _on_page(items: Mapping[str, Any]) -> Iterator[str]:
    """The ids of all items that are shown."""
    for rows in (items.get(name) or () for name in ("mistakes", "ambiguous", "suspects")):
        yield from (row["id"] for row in rows)
    for several in (items.get("nearest") or {}).values():
        yield from several
    points = (items.get("map") or {}).get("id", ())
    yield from points[:: max(1, -(-len(points) // PICTURED))]


def explanations(
    predictor: Predictor, items: Sequence[Item], findings: Mapping[str, Any], progress: Progress
) -> dict[str, str]:
    """For the most confident mistakes a picture under its heat, or a line of words, by card's key.

    Empty where Captum is not installed, or the network can't be explained.
    """
    from headstart.explain import explainer

    rows = (findings.get("items") or {}).get("mistakes") or []
    item_of = {item.id: item for item in items}
    maps: dict[str, str] = {}
    if not rows:
        return maps
    explain = explainer(predictor)
    for row in rows[:COUNT]:
        item = item_of[row["id"]]
        try:
            maps[explained(item.id)] = _shown(explain(item.id, item))
        except (ImportError, HeadstartError, RuntimeError, NotImplementedError) as error:
            reason = str(error).strip().partition("\n")[0].rstrip(".")
            progress.say(f"The mistakes are shown without an explanation ({reason}).")
            break
    return maps


def _shown(explanation: Explanation) -> str:
    from headstart.explain import PictureExplanation, TextExplanation

    if isinstance(explanation, PictureExplanation):
        buffer = io.BytesIO()
        explanation.overlay().save(buffer, "PNG")
        return thumbnail(buffer.getvalue(), LARGE)
    if not isinstance(explanation, TextExplanation):
        raise TypeError(f"{type(explanation).__name__} can't be shown")
    heaviest = sorted(explanation.words, key=lambda word: -abs(word.weight))[:_WORDS]
    return ", ".join(f"{word.text} {word.weight:+.2f}" for word in heaviest)
