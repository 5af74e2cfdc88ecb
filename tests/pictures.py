"""Pictures made for tests, files of them, and what is decoded from those."""

from __future__ import annotations

import io
import struct
from typing import Any, Literal

import numpy as np
from PIL import Image as pil

from headstart.modalities.image import Image
from headstart.modalities.image.opening import open_picture

IMAGENET: dict[str, Any] = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
PLAIN = {
    "channels": 3,
    "height": 32,
    "width": 32,
    "crop": 1.0,
    "crop_mode": "center",
    "interpolation": "bilinear",
    **IMAGENET,
}


def noise(width: int = 40, height: int = 30, seed: int = 0) -> pil.Image:
    """A picture of independent random bytes."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return pil.fromarray(pixels)


def photo(width: int, height: int, seed: int = 0) -> pil.Image:
    """A picture with large shapes, fine texture and no symmetry, as photos have them."""
    shapes = noise(7, 5, seed).resize((width, height), pil.Resampling.BICUBIC)
    texture = noise(width // 2, height // 2, seed + 1).resize((width, height))
    return pil.blend(shapes, texture, 0.15)


def saved(picture: pil.Image, kind: str = "PNG", **options: Any) -> bytes:
    """The picture as a file."""
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def decoded(raw: bytes, width: int, height: int, channels: int = 3) -> np.ndarray:
    """The file's pixels at this size, (height, width, channels)."""
    settings = {**PLAIN, "width": width, "height": height, "channels": channels}
    return Image().decode(raw, settings).transpose(1, 2, 0)


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """The mean absolute difference, in levels of 255."""
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


def whole(raw: bytes) -> np.ndarray:
    """All pixels of the file as they are decoded, upright, (height, width[, 3]) uint8."""
    return np.asarray(open_picture(raw).decode())


def tiff(
    values: np.ndarray, order: Literal["<", ">"] = "<", planar: bool = False, **tags: Any
) -> bytes:
    """An uncompressed TIFF of values (height, width, bands), in one strip or one a band.

    Tags are called `t262` and so on; those of the layout are written anyway.
    """
    height, width, bands = values.shape
    kind = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    stored = values.astype(values.dtype.newbyteorder(order))
    planes = np.moveaxis(stored, 2, 0) if planar else stored[None]
    strips = [plane.tobytes() for plane in planes]
    starts = [8 + sum(map(len, strips[:n])) for n in range(len(strips))]
    own: dict[int, tuple[int, ...] | bytes] = {256: (width,), 257: (height,), 259: (1,), 262: (1,)}
    own |= {258: (8 * values.dtype.itemsize,) * bands, 277: (bands,), 339: (kind,) * bands}
    own |= {273: tuple(starts), 278: (height,), 279: tuple(map(len, strips))}
    own |= {284: (2 if planar else 1,)}
    own |= {int(name[1:]): value for name, value in tags.items()}
    body = b"".join(strips)
    place = 8 + len(body)
    entries, behind = b"", b""
    own = {tag: value for tag, value in own.items() if value}
    for tag, value in sorted(own.items()):
        if isinstance(value, bytes):
            head, packed = (2, len(value)), value
        else:
            head, packed = (4, len(value)), struct.pack(f"{order}{len(value)}L", *value)
        if len(packed) > 4:
            behind += packed
            packed = struct.pack(order + "L", place + 6 + 12 * len(own) + len(behind) - len(packed))
        entries += struct.pack(order + "HHL", tag, *head) + packed.ljust(4, b"\0")
    mark = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "L", place)
    return mark + body + struct.pack(order + "H", len(own)) + entries + bytes(4) + behind
