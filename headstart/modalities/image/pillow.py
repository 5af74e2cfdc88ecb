"""Pictures in the formats that Pillow decodes, each by its own decoder and no other."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np
from PIL import Image as pil
from PIL import ImageFile

from headstart.modalities.image.depth import Depth, Levels, deep
from headstart.modalities.image.faults import demand_few
from headstart.modalities.image.opened import SCALABLE, SIDEWAYS, Opened

_PLUGINS = {"JPEG2000": "Jpeg2K", "WEBP": "WebP"}  # others are called as their format is
_ORIENTATION = 0x0112
TURNS = {
    2: pil.Transpose.FLIP_LEFT_RIGHT,
    3: pil.Transpose.ROTATE_180,
    4: pil.Transpose.FLIP_TOP_BOTTOM,
    5: pil.Transpose.TRANSPOSE,
    6: pil.Transpose.ROTATE_270,
    7: pil.Transpose.TRANSVERSE,
    8: pil.Transpose.ROTATE_90,
}
_HIGH = {"16L": "16B", "16B": "16L"}  # the raw mode that takes a value's other byte
_SIXTEEN = re.compile(r"I;16|;16[LBNS]")  # in a raw mode
_NATIVE = "16L" if sys.byteorder == "little" else "16B"


def open_file(raw: bytes, name: str) -> Opened:
    """Open a file of the format that Pillow calls so, with that decoder alone."""
    return opened(decoder(raw, name), raw, Depth())


def decoder(raw: bytes, name: str) -> ImageFile.ImageFile:
    """Pillow's picture, of which only the header was read."""
    load_plugin(name)
    picture = pil.open(io.BytesIO(raw), formats=(name,))
    demand_few(*picture.size)
    return picture


def load_plugin(name: str) -> None:
    """Import Pillow's decoder of that format, since for one that it lacks it imports all it has."""
    if name not in pil.OPEN:
        import_module(f"PIL.{_PLUGINS.get(name, name.capitalize())}ImagePlugin")


def opened(picture: ImageFile.ImageFile, raw: bytes, depth: Depth) -> Opened:
    """Describe a picture and load it, unless it can be decoded smaller."""
    notes = _notes(picture)
    image: pil.Image = picture
    levels = None
    if picture.format not in SCALABLE:
        tiles = list(picture.tile)
        picture.load()  # it may change the size, and turn the picture by itself
        if any(_SIXTEEN.search(str(tile[3])) for tile in tiles) and picture.mode in ("RGB", "RGBA"):
            image, more = _deep_colour(picture, raw)
            notes += more
    if deep(image):
        levels = depth.levels(image)
        notes += levels.notes
    return turned(image, notes, _turn(picture), levels)


def turned(
    image: pil.Image,
    notes: Sequence[str],
    turn: pil.Transpose | None = None,
    levels: Levels | None = None,
) -> Opened:
    """A picture that is made upright by a turn."""
    size = image.size[::-1] if turn in SIDEWAYS else image.size
    every = [*notes, "EXIF turn"] if turn is not None else notes
    return Opened(image, size, tuple(every), turn, levels)


def _notes(picture: ImageFile.ImageFile) -> list[str]:
    """What the header shows; to be called before the picture is loaded."""
    mode = picture.mode
    sixteen = "16" in mode or any(_SIXTEEN.search(str(tile[3])) for tile in picture.tile)
    signs = {
        "palette": mode in ("P", "PA"),
        "CMYK": mode == "CMYK",
        "alpha": mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info,
        "16-bit": sixteen,
        "32-bit": mode in ("I", "F") and not sixteen,
        "black and white": mode == "1",
        "greyscale": mode.startswith("L") or "16" in mode,
        "animated": bool(getattr(picture, "is_animated", False)) and picture.format != "MPO",
    }
    picture.seek(0)
    return [kind for kind, here in signs.items() if here]


def _turn(picture: pil.Image) -> pil.Transpose | None:
    try:
        return TURNS.get(picture.getexif().get(_ORIENTATION, 1))
    except Exception:  # a broken EXIF block says nothing; the pixels are sound all the same
        return None


def _deep_colour(picture: ImageFile.ImageFile, raw: bytes) -> tuple[pil.Image, list[str]]:
    """A picture of 16 bits a channel, which Pillow cuts to the upper 8, by the bits it holds.

    Where fewer than 15 are used, the lower 8 are decoded too.
    """
    extrema = picture.getextrema()[:3]
    if max(int(pair[1]) for pair in extrema) >= 64:  # type: ignore[index]
        return picture, []
    lower = decoder(raw, str(picture.format))
    lower.tile = [tile._replace(args=_other_byte(tile.args)) for tile in lower.tile]
    lower.load()
    high, low = (np.asarray(half)[..., :3].astype(np.uint16) for half in (picture, lower))
    values = high * 256 + low
    levels = Depth().levels(values)
    colours = pil.fromarray(levels.to_bytes(values))
    if picture.mode == "RGBA":
        colours.putalpha(picture.getchannel("A"))
    return colours, levels.notes


def _other_byte(args: Any) -> Any:
    """A decoder's arguments with the raw mode that takes the other byte of each value."""
    if isinstance(args, tuple):
        return (_other_byte(args[0]), *args[1:])
    kind, _, order = str(args).partition(";")
    order = _NATIVE if order == "16N" else order
    return f"{kind};{_HIGH[order]}"
