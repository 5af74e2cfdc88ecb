"""Pictures made for tests, files of them, and what is decoded from those."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image as pil

from headstart.modalities.image import Image

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
