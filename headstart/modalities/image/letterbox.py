"""All of a picture in its own shape at the upper left of a grey square, as detectors are fed."""

from __future__ import annotations

from typing import Final

import numpy as np

from headstart.contracts import Preprocess
from headstart.contracts.places import Motion
from headstart.modalities.image import views
from headstart.modalities.image.opened import Opened

GREY: Final = 114  # as most detectors of one pass have it
_SMALLEST: Final = 0.6  # of its size, in a random view


def letterbox_motion(rng: np.random.Generator) -> Motion:
    """What a random view does: mirrored half the time, and half the time smaller."""
    mirrored, whole = (bool(draw < 0.5) for draw in rng.random(2))
    scale = float(rng.uniform(_SMALLEST, 1.0))
    return Motion(mirrored, 1.0 if whole else scale)


def letterboxed(source: Opened, preprocess: Preprocess, motion: Motion | None) -> np.ndarray:
    """The picture (height, width) or (height, width, 3), uint8, perhaps in a random view."""
    height, width = int(preprocess["height"]), int(preprocess["width"])
    scale = min(width / source.size[0], height / source.size[1]) * (motion.scale if motion else 1.0)
    size = max(1, round(source.size[0] * scale)), max(1, round(source.size[1] * scale))
    squashed = {**preprocess, "width": size[0], "height": size[1], "crop": 1.0}
    pixels = views.whole_view(source, {**squashed, "crop_mode": "squash"})
    if motion and motion.mirrored:
        pixels = pixels[:, ::-1]
    grey: np.ndarray = np.full((height, width, *pixels.shape[2:]), GREY, np.uint8)
    grey[: pixels.shape[0], : pixels.shape[1]] = pixels
    return grey
