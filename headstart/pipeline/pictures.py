"""What a page shows of the items that findings name."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from PIL import Image as pil

from headstart.contracts import Modality
from headstart.data import Item
from headstart.report.contents import MOST_CARDS, NEAREST, large
from headstart.report.thumbnails import LARGE, SIDE, thumbnail

PICTURED = 400  # points of the map that show their item when pointed at
_SEEN = {"channels": 3, "crop": 1.0, "crop_mode": "whole"}  # as people see a picture
_SEEN |= {"interpolation": "bilinear", "mean": (), "std": ()}


def pictured(found: Mapping[str, Any], items: Sequence[Item], modality: Modality) -> dict[str, str]:
    """The items that findings name, by id: thumbnails, or the texts.

    Pictures on cards are there large too, under a key of their own, where they are larger.
    """
    wanted, on_cards = (set(names(found.get("items", {}))) for names in (_named, _on_cards))
    shown = {}
    for item in items:
        if item.id not in wanted:
            continue
        raw = item.read()
        text = modality.text(raw)
        if text is not None:
            shown[item.id] = text
            continue
        file = _as_file(raw, modality, LARGE if item.id in on_cards else SIDE)
        shown[item.id], whole = thumbnail(file), thumbnail(file, LARGE)
        if whole != shown[item.id]:
            shown[large(item.id)] = whole
    return shown


def _as_file(raw: bytes, modality: Modality, side: int) -> bytes:
    """A picture as the modality decodes it, as a PNG: in its own shape, small, and 8 bits deep."""
    pixels = modality.decode(raw, {**_SEEN, "height": side, "width": side})
    file = io.BytesIO()
    pil.fromarray(pixels.transpose(1, 2, 0)).save(file, "PNG", compress_level=1)
    return file.getvalue()


def _on_cards(items: Mapping[str, Any]) -> Iterator[str]:
    """The ids of the items on cards, and of those beside them."""
    for name in ("mistakes", "ambiguous", "suspects"):
        for row in (items.get(name) or ())[:MOST_CARDS]:
            yield row["id"]
            yield from ((items.get("nearest") or {}).get(row["id"]) or ())[:NEAREST]


def _named(items: Mapping[str, Any]) -> Iterator[str]:
    """The ids of all items that are shown."""
    for rows in (items.get(name) or () for name in ("mistakes", "ambiguous", "suspects")):
        yield from (row["id"] for row in rows)
    for several in (items.get("nearest") or {}).values():
        yield from several
    points = (items.get("map") or {}).get("id", ())
    yield from points[:: max(1, -(-len(points) // PICTURED))]
