"""What the backbone sees of a picture: the whole of it, or a random part, at the asked size."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image as pil
from PIL import ImageOps

from headstart.contracts import Preprocess
from headstart.modalities.image.opened import Box, Opened, Picture
from headstart.modalities.image.resizing import resized

_LONGEST = 20  # times the shorter side; what lies beyond is cut before resizing, not after
_SMALLEST_CROP = 0.35  # of the area, in a random view: gentle, for trainings of few epochs
_SMALLEST_SIGN = 0.5  # the same of a small picture, such as a character
_SMALL = 64  # px: smaller pictures are often characters, which a mirror makes wrong
_GAP = 3  # a picture decoded smaller is still so many times the target, lest its blocks be seen
_SCALES = (8, 4, 2)
_FILTERS = {
    "nearest": pil.Resampling.NEAREST,
    "box": pil.Resampling.BOX,
    "bilinear": pil.Resampling.BILINEAR,
    "bicubic": pil.Resampling.BICUBIC,
    "lanczos": pil.Resampling.LANCZOS,
}
Size = tuple[int, int]  # width, height


_MODES = ("center", "squash", "border", "whole", "letterbox")
_WIDEST, _LEAST = 4096, 0.05  # px of a side; share of the resized picture that is kept


def accepted(preprocess: Preprocess) -> bool:
    """Whether a view can be made so, in any memory: for what strangers wrote."""
    sides, crop = (preprocess.get("height"), preprocess.get("width")), preprocess.get("crop")
    channels = preprocess.get("channels")
    numbers = [preprocess.get("mean"), preprocess.get("std")]
    return (
        all(type(side) is int and 0 < side <= _WIDEST for side in sides)
        and channels in (1, 3)
        and type(crop) in (int, float)
        and _LEAST <= float(crop or 0) <= 1
        and preprocess.get("crop_mode") in _MODES
        and preprocess.get("interpolation") in _FILTERS
        and all(_are_numbers(each, channels) for each in numbers)
    )


def _are_numbers(values: object, count: int) -> bool:
    return (
        isinstance(values, list | tuple)
        and len(values) == count
        and all(type(value) in (int, float) and abs(value) < math.inf for value in values)
    )


def whole_view(source: Opened, preprocess: Preprocess) -> np.ndarray:
    """timm's evaluation transform: (height, width) or (height, width, 3), uint8."""
    full = _shortened(source.size)
    preprocess = _unframed(source.size, preprocess)
    size = _whole_size(full, preprocess)
    window = int(preprocess["width"]), int(preprocess["height"])
    smaller = source.decode_smaller(_scale(source.size, size, preprocess))
    if smaller is None:
        picture = _narrow(source.decode(_middle_box(source.size, full)), preprocess)
        picture = pil.fromarray(_resize(picture, size, picture.size, preprocess, window))
    else:
        image, middle = _narrow(smaller[0], preprocess), source.sideways(window)
        pixels = _resize(image, source.sideways(size), smaller[1], preprocess, middle)
        picture = source.upright(pil.fromarray(pixels))
    if picture.mode == "L" and preprocess["channels"] == 3:
        picture = picture.convert("RGB")
    border = preprocess["mean"] if preprocess["crop_mode"] == "border" else ()
    fill = tuple(round(255 * value) for value in border)
    down = preprocess.get("crop_origin") == "floor"
    return np.array(_middle(picture, window, fill, math.floor if down else round))


def random_view(source: Opened, preprocess: Preprocess, rng: np.random.Generator) -> np.ndarray:
    """A random part, perhaps mirrored: (height, width) or (height, width, 3), uint8."""
    full = _shortened(source.size)
    size = int(preprocess["width"]), int(preprocess["height"])
    least = _SMALLEST_SIGN if min(size) < _SMALL else _SMALLEST_CROP
    left, top, width, height = _random_box(full, rng, least)
    mirrored = rng.random() < 0.5  # drawn in any case, so that one seed gives one sequence of boxes
    by = _scale(source.size, size, preprocess, part=(width, height))
    smaller = source.decode_smaller(by)
    box = left, top, left + width, top + height
    if smaller is None:
        beside, above, *_ = _middle_box(source.size, full) or (0, 0)
        part = source.decode(
            (left + beside, top + above, left + beside + width, top + above + height)
        )
    else:
        left, top, right, bottom = (round(edge / by) for edge in box)
        part = source.upright(smaller[0]).crop((left, top, right, bottom))
    part = _narrow(part, preprocess)
    view = _resize(part, size, part.size, preprocess)
    if view.ndim == 2 and preprocess["channels"] == 3:
        view = np.repeat(view[:, :, None], 3, axis=2)
    if mirrored and preprocess["channels"] == 3 and min(size) >= _SMALL:
        import torch

        view = torch.from_numpy(view).flip(1).numpy()  # numpy takes ten times as long
    return view


def _shortened(size: Size) -> Size:
    """The size without the ends of an extremely long picture, too large for memory if enlarged."""
    most = _LONGEST * min(size)
    return min(size[0], most), min(size[1], most)


def _unframed(full: Size, preprocess: Preprocess) -> Preprocess:
    """For the crop mode `whole`: all of the picture, as large as it is resized, never enlarged."""
    if preprocess["crop_mode"] != "whole":
        return preprocess
    short = min(full)
    window = min(preprocess["height"], preprocess["width"])
    side = min(short, math.floor(window / preprocess["crop"]))
    width, height = (side * min(length, _LONGEST * short) // short for length in full)
    return {**preprocess, "width": width, "height": height, "crop": 1.0, "crop_mode": "squash"}


def _whole_size(full: Size, preprocess: Preprocess) -> Size:
    """What the whole picture is resized to, before the window is cut out of its middle."""
    wide, high = (math.floor(preprocess[side] / preprocess["crop"]) for side in ("width", "height"))
    mode = preprocess["crop_mode"]
    if mode == "squash":
        return wide, high
    if mode != "border" and wide == high:
        short = min(full)
        return int(wide * full[0] / short), int(wide * full[1] / short)
    ratios = full[1] / high, full[0] / wide
    ratio = max(ratios) if mode == "border" else min(ratios)
    return max(1, round(full[0] / ratio)), max(1, round(full[1] / ratio))


def _scale(full: Size, size: Size, preprocess: Preprocess, part: Size | None = None) -> int:
    """The largest fraction, 1/2 to 1/8, at which the part is still well above its size, or 1."""
    room = min(side / (_GAP * target) for side, target in zip(part or full, size, strict=True))
    by = next((by for by in _SCALES if by <= room), 1)
    whole = by == 1 or preprocess["interpolation"] == "nearest" or _shortened(full) != full
    return 1 if whole else by


def _random_box(size: Size, rng: np.random.Generator, least: float) -> tuple[int, int, int, int]:
    """Left, top, width, height of a part with that share of the area at least, 3/4 to 4/3 wide."""
    full_width, full_height = size
    for _ in range(10):
        area = rng.uniform(least, 1.0) * full_width * full_height
        ratio = math.exp(rng.uniform(math.log(3 / 4), math.log(4 / 3)))
        width, height = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < width <= full_width and 0 < height <= full_height:
            left = int(rng.integers(full_width - width + 1))
            top = int(rng.integers(full_height - height + 1))
            return left, top, width, height
    width = min(full_width, max(1, round(full_height * 4 / 3)))
    height = min(full_height, max(1, round(full_width * 4 / 3)))
    return (full_width - width) // 2, (full_height - height) // 2, width, height


def _narrow(picture: Picture, preprocess: Preprocess) -> Picture:
    """In grey where the backbone wants one channel; grey ones become RGB once resized."""
    grey = preprocess["channels"] == 1 and picture.mode != "L"
    return picture.convert("L") if grey else picture


def _resize(
    picture: Picture,
    size: Size,
    extent: tuple[float, float],
    preprocess: Preprocess,
    middle: Size | None = None,
) -> np.ndarray:
    """The upper left `extent` of a picture, resized; hardly ever over one level off Pillow's.

    Where no more than the `middle` is looked at, the rest may stay black.

    torch does what Pillow does, antialiasing included, several times as fast; where it isn't
    imported the same levels come without it.
    """
    if picture.size == size == extent:
        return np.array(picture)
    mode = preprocess["interpolation"]
    if mode not in ("bilinear", "bicubic"):
        return np.array(picture.resize(size, _FILTERS[mode], (0, 0, *extent)))
    # torch rounds the sides it finds down, hence the millionth
    factors = [(side + 1e-6) / length for side, length in zip(size, extent, strict=True)]
    if "torch" not in sys.modules:
        return resized(picture, size, (1 / factors[0], 1 / factors[1]), mode, middle)
    return _resized_by_torch(np.array(picture), size, factors, mode)


def _resized_by_torch(
    pixels: np.ndarray, size: Size, factors: Sequence[float], mode: str
) -> np.ndarray:
    import torch
    from torch.nn import functional

    planes = torch.from_numpy(pixels).view(1, *pixels.shape[:2], -1).permute(0, 3, 1, 2)
    width, height = size
    resized = functional.interpolate(
        planes, scale_factor=factors[::-1], mode=mode, antialias=True, recompute_scale_factor=False
    )[0, :, :height, :width].numpy()
    return resized[0] if pixels.ndim == 2 else np.ascontiguousarray(resized.transpose(1, 2, 0))


def _middle(
    picture: Picture,
    size: Size,
    fill: tuple[int, ...] = (),
    whole: Callable[[float], int] = round,
) -> Picture:
    """The middle, `size` large; a smaller picture is surrounded with `fill`, or black.

    `whole` says where it begins when that is between two pixels.
    """
    width, height = size
    wide, high = max(0, width - picture.width), max(0, height - picture.height)
    if wide or high:
        border = (wide // 2, high // 2, (wide + 1) // 2, (high + 1) // 2)
        picture = ImageOps.expand(picture, border, fill if len(fill) > 1 else sum(fill))
    box = _middle_box(picture.size, size, whole)
    return picture if box is None else picture.crop(box)


def _middle_box(full: Size, size: Size, whole: Callable[[float], int] = round) -> Box | None:
    """The middle of a picture, `size` large; None where that is all of it."""
    if full == size:
        return None
    left, top = (whole((all_of - part) / 2.0) for all_of, part in zip(full, size, strict=True))
    return left, top, left + size[0], top + size[1]
