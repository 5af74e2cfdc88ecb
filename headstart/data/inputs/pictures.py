"""Pictures and arrays in memory; pictures as the bytes of a file, as which they are read."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

from headstart.errors import DataError

_CHANNELS = (1, 3, 4)
_WANTED = "Give height, width, and 1, 3 or 4 channels; several as a list or (N, H, W, C)"
_PNG = frozenset({"1", "L", "LA", "P", "RGB", "RGBA", "I;16"})  # modes that PNG keeps as they are
_DEEP = frozenset({"I", "F", "I;16B", "I;16L"})  # those of TIFF alone
_SOFT = {"La": "LA", "RGBa": "RGBA", "PA": "RGBA"}


def encoded(picture: Image.Image) -> bytes:
    """The picture as a file without loss, with the turn that a camera noted.

    Raises DataError where its own file can't be decoded.
    """
    file = io.BytesIO()
    try:
        if picture.mode in _DEEP:
            plain = picture.convert("I") if picture.mode.startswith("I;") else picture
            plain.save(file, "TIFF", exif=picture.getexif())
        else:
            as_is = picture.mode in _PNG
            plain = picture if as_is else picture.convert(_SOFT.get(picture.mode, "RGB"))
            plain.save(file, "PNG", compress_level=1, exif=picture.getexif())
    except (OSError, SyntaxError, ValueError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise DataError(f"it can't be decoded: {reason}") from error
    return file.getvalue()


def pictures_of(pixels: np.ndarray, place: str) -> Iterator[tuple[str, Image.Image]]:
    """The pictures in an array, each with its name: one, or a batch (N, H, W, C).

    Raises DataError for a shape or values that are none of a picture. Three axes are always those
    of one: others may be bands, channels before height and width, or several grey pictures.
    """
    if pixels.ndim != 4:
        return iter([(place, picture_of(pixels, place))])
    names = (f"item {number}" for number in range(len(pixels)))
    return ((name, picture_of(each, name)) for name, each in zip(names, pixels, strict=True))


def picture_of(pixels: np.ndarray, place: str) -> Image.Image:
    """One picture (H, W) or (H, W, C). Raises DataError for what is none."""
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    if pixels.ndim not in (2, 3) or channels not in _CHANNELS or not pixels.size:
        raise DataError(
            f"{place.capitalize()} has the shape {pixels.shape}, which is no picture. {_WANTED}."
        )
    values = _bytes(pixels[..., 0] if pixels.ndim == 3 and channels == 1 else pixels, place)
    return Image.fromarray(np.ascontiguousarray(values))


def _bytes(pixels: np.ndarray, place: str) -> np.ndarray:
    """Values from 0 to 255, or 16-bit grey as it is."""
    if pixels.dtype == np.uint8 or (pixels.dtype == np.uint16 and pixels.ndim == 2):
        return pixels
    if pixels.dtype == np.bool_:
        return pixels.astype(np.uint8) * np.uint8(255)
    if pixels.dtype.kind == "f":
        low, high = float(pixels.min()), float(pixels.max())
        if 0 <= low and high <= 1:  # no comparison with NaN is true
            return np.rint(pixels.astype(np.float64) * 255).astype(np.uint8)
        raise DataError(
            f"{place.capitalize()} has values from {low:.4g} to {high:.4g}, and fractions of a "
            "picture go from 0 to 1. Divide them, or give uint8."
        )
    raise DataError(
        f"{place.capitalize()} is an array of {pixels.dtype} {pixels.shape}, which is no picture. "
        "Give uint8, or fractions from 0 to 1."
    )


def as_array(data: Any) -> np.ndarray | None:
    """An array as it is, a tensor of torch with its channels last; None for all else.

    A tensor's channels are its first of three axes, as torch has them, unless only the last can be.
    """
    if isinstance(data, np.ndarray):
        return data
    if not is_tensor(data):
        return None
    array: np.ndarray = data.detach().cpu().numpy()
    if array.ndim not in (3, 4) or array.shape[-3] not in _CHANNELS:
        return array
    return np.moveaxis(array, -3, -1)


def is_tensor(data: Any) -> bool:
    """Whether a thing is a tensor of torch."""
    torch = sys.modules.get("torch")  # what is not imported made nothing
    return torch is not None and isinstance(data, torch.Tensor)
