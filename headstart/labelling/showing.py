"""A picture of an item for a page: through its modality's decoder, never the file itself."""

from __future__ import annotations

import io
from typing import Final

import numpy as np
from PIL import Image

from headstart.contracts import Modality
from headstart.data import Item
from headstart.errors import DataError

SIDE: Final = 720  # px of the shorter side, at most
LONGEST: Final = 1600
_PLAIN: Final = {  # whole pictures as they are, never enlarged
    "channels": 3,
    "height": SIDE,
    "width": SIDE,
    "crop": 1.0,
    "crop_mode": "whole",
    "interpolation": "bilinear",
    "mean": [0.0, 0.0, 0.0],
    "std": [1.0, 1.0, 1.0],
}


def picture(item: Item, modality: Modality) -> bytes:
    """The whole item as a PNG. Raises DataError where it can't be read, or is no picture."""
    view = np.asarray(modality.decode(item.read(), _PLAIN))
    if view.dtype != np.uint8 or view.ndim != 3 or view.shape[0] != 3:
        raise DataError(f"{item.id} can't be shown: it is no picture. Look at the file itself.")
    image = Image.fromarray(np.ascontiguousarray(view.transpose(1, 2, 0)))
    image.thumbnail((LONGEST, LONGEST))
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1)
    return file.getvalue()
