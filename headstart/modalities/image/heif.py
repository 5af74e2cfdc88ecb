"""HEIC and HEIF pictures, by pillow-heif."""

from __future__ import annotations

import io

from headstart.modalities.image import pillow
from headstart.modalities.image.depth import Depth
from headstart.modalities.image.faults import demand_few, missing
from headstart.modalities.image.opened import Opened


def open_file(raw: bytes, name: str) -> Opened:
    """Open the primary picture; it comes upright, and with 8 bits a channel.

    Raises DataError where pillow-heif is not installed.
    """
    try:
        from pillow_heif import HeifImageFile
    except ImportError:
        raise missing(name, "pillow-heif", "heic") from None
    picture = HeifImageFile(io.BytesIO(raw))
    demand_few(*picture.size)
    return pillow.opened(picture, raw, Depth())
