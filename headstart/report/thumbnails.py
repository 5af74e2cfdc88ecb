"""Small pictures of items, sounds, and the beginnings of texts, within what a page may weigh."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterable, Mapping

from jinja2.utils import htmlsafe_json_dumps
from PIL import Image, ImageOps

from headstart.errors import DataError

SIDE = 96  # pixels
LARGE = 480  # pixels of a picture that opens on a click
CHARACTERS = 300  # of a text
MOST = 400  # pictures on one page
_QUALITY = 80
_CLIP = re.compile(r"data:audio/mpeg;base64,[A-Za-z0-9+/]+=*")
_PICTURE = re.compile(r"data:image/jpeg;base64,[A-Za-z0-9+/]+=*")


def thumbnail(raw: bytes, side: int = SIDE) -> str:
    """A PNG or JPEG as the data URI of a JPEG, upright, over white, `side` pixels long at most.

    Raises DataError where it can't be decoded.
    """
    try:
        with Image.open(io.BytesIO(raw), formats=("JPEG", "PNG")) as opened:
            opened.draft("RGB", (2 * side, 2 * side))
            picture = _shallow(ImageOps.exif_transpose(opened))
            if picture.has_transparency_data:
                front = picture.convert("RGBA")
                picture = Image.alpha_composite(Image.new("RGBA", front.size, "white"), front)
            return of_picture(picture.convert("RGB"), side)
    except Exception as error:  # decoders raise nearly anything on damaged input
        raise DataError(f"A picture can't be decoded: {error}. Leave it out.") from error


def of_picture(picture: Image.Image, side: int = SIDE) -> str:
    """The same of a decoded picture in colour or in grey, which is made that small itself."""
    picture.thumbnail((side, side))
    buffer = io.BytesIO()
    picture.convert("RGB").save(buffer, "JPEG", quality=_QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def clip(raw: bytes) -> str:
    """An MP3 as a data URI."""
    return f"data:audio/mpeg;base64,{base64.b64encode(raw).decode()}"


def is_clip(address: str) -> bool:
    """Whether it is a sound to play, not a text."""
    return _CLIP.fullmatch(address) is not None


def is_picture(address: str) -> bool:
    """Whether it is a thumbnail, not a text."""
    return _PICTURE.fullmatch(address) is not None


def beginning(text: str) -> str:
    """A text of at most 300 characters: the beginning of a longer one."""
    return text if len(text) <= CHARACTERS else f"{text[: CHARACTERS - 1]}…"


def fitting(pictures: Mapping[str, str], item_ids: Iterable[str], room: int) -> dict[str, str]:
    """The first of the wanted items that fit into `room` bytes, with at most 400 thumbnails.

    Texts are cut. Items without a picture or text are left out.
    """
    thumbnails: dict[str, str] = {}
    picture_count = 0
    for item in item_ids:
        if item in thumbnails or item not in pictures:
            continue
        picture = is_picture(pictures[item])
        whole = picture or is_clip(pictures[item])
        image = pictures[item] if whole else beginning(pictures[item])
        size = len(htmlsafe_json_dumps({item: image}))
        if size > room or (picture and picture_count == MOST):
            continue
        thumbnails[item] = image
        picture_count += picture
        room -= size
    return thumbnails


def _shallow(picture: Image.Image) -> Image.Image:
    """16-bit grey scaled to 8 bits, which Pillow would cut off instead."""
    if not picture.mode.startswith("I"):
        return picture
    return picture.convert("I").point(lambda level: level * (1 / 257)).convert("L")
