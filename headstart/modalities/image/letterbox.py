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
_OFF: Final = 0.01  # of a side, by which whole pixels may miss it
_FINE: Final = 8  # parts of a pixel that thin pictures are drawn in


def letterbox_motion(rng: np.random.Generator) -> Motion:
    """What a random view does: mirrored half the time, and half the time smaller."""
    mirrored, whole = (bool(draw < 0.5) for draw in rng.random(2))
    scale = float(rng.uniform(_SMALLEST, 1.0))
    return Motion(mirrored, 1.0 if whole else scale)


def letterboxed(source: Opened, preprocess: Preprocess, motion: Motion | None) -> np.ndarray:
    """The picture (height, width) or (height, width, 3), uint8, perhaps in a random view."""
    height, width = int(preprocess["height"]), int(preprocess["width"])
    scale = min(width / source.size[0], height / source.size[1]) * (motion.scale if motion else 1.0)
    pixels = _scaled(source, preprocess, (source.size[0] * scale, source.size[1] * scale))
    if motion and motion.mirrored:
        pixels = pixels[:, ::-1]
    grey: np.ndarray = np.full((height, width, *pixels.shape[2:]), GREY, np.uint8)
    grey[: pixels.shape[0], : pixels.shape[1]] = pixels
    return grey


def _scaled(source: Opened, preprocess: Preprocess, sides: tuple[float, float]) -> np.ndarray:
    """The picture in this width and height, in pixels: the last ones hold grey for what is missing.

    Of thin pictures alone, whose short side has few pixels; others are as large as is nearest.
    """
    whole = [max(1, round(side)) for side in sides]
    parts = [
        1 if abs(count / side - 1) <= _OFF else _FINE
        for count, side in zip(whole, sides, strict=True)
    ]
    fine = [max(1, round(side * part)) for side, part in zip(sides, parts, strict=True)]
    squashed = {**preprocess, "width": fine[0], "height": fine[1], "crop": 1.0}
    pixels = views.whole_view(source, {**squashed, "crop_mode": "squash"})
    if parts == [1, 1]:
        return pixels
    across, down = parts
    missing = [(0, -fine[1] % down), (0, -fine[0] % across), (0, 0)][: pixels.ndim]
    pixels = np.pad(pixels, missing, constant_values=GREY)
    height, width = pixels.shape[0] // down, pixels.shape[1] // across
    blocks = pixels.reshape(height, down, width, across, *pixels.shape[2:])
    mean: np.ndarray = blocks.mean(axis=(1, 3)).round().astype(np.uint8)
    return mean
