"""A picture's sketch: bits that hardly change when it is saved anew, resized or made grey."""

from __future__ import annotations

import hashlib
from math import atan2, hypot, pi

import numpy as np
from PIL import Image as pil

from headstart.modalities.image.opened import Opened
from headstart.modalities.image.statistics import SIDE

_KEPT = 16  # lowest frequencies in each direction
_FAINT = 4.0  # grey levels of standard deviation, below which there is nothing to recognise
_EVEN, _MOSTLY = 1.0, 0.5  # levels between neighbours in a flat area; its share of a drawing
_COLOURED, _HUES = 4.0, 12  # levels of chroma, and parts of the circle


def squashed(picture: Opened) -> pil.Image:
    """The whole picture, upright, at 64 by 64 pixels in grey or RGB.

    A JPEG is decoded no larger than that takes. Raises DataError saying why it can't be decoded.
    """
    image, extent = picture.small()
    small = image.resize((SIDE, SIDE), pil.Resampling.BILINEAR, (0, 0, *extent))
    return picture.upright(small)


def sketch(picture: Opened) -> str:
    """256 bits as hex, in the manner of pHash; empty for a picture with next to no contrast.

    The signs of the 16 by 16 lowest frequencies of a cosine transform of the picture in grey,
    64 px each way, against their median (Zauner 2010). Copies of photos, of a third of the size, as
    JPEG of quality 30, or in grey, differ in hardly more than 6 bits. What is flat for the most
    part, as drawings are, is told apart by its hue too, as there is little else to tell it by.
    """
    small = squashed(picture)
    grey = np.asarray(small.convert("L"), np.float32)
    if grey.std() < _FAINT:
        return ""
    from scipy.fft import dctn  # late, as most runs find the sketches of before

    waves = dctn(grey, norm="ortho")[:_KEPT, :_KEPT].ravel()
    bits = np.packbits(waves > np.median(waves)).tobytes()
    return (_tinted(bits, _hue(small)) if _is_flat(grey) else bits).hex()


def _is_flat(grey: np.ndarray) -> bool:
    steps = np.abs(np.diff(grey, axis=0))[:, 1:], np.abs(np.diff(grey, axis=1))[1:]
    return bool((np.maximum(*steps) < _EVEN).mean() > _MOSTLY)


def _hue(small: pil.Image) -> int:
    """Which part of the circle of hues the mean colour lies in, 0 for grey."""
    if small.mode == "L":
        return 0
    blue, red = np.asarray(small.convert("YCbCr"), np.float32)[..., 1:].mean(axis=(0, 1)) - 128
    if hypot(blue, red) < _COLOURED:
        return 0
    return 1 + int(_HUES * (atan2(red, blue) / (2 * pi) % 1.0))


def _tinted(bits: bytes, hue: int) -> bytes:
    """The same distances between sketches of one hue, and about half of the bits between two."""
    mask = hashlib.blake2b(bytes([hue]), digest_size=len(bits)).digest() if hue else bytes(32)
    return bytes(one ^ other for one, other in zip(bits, mask, strict=True))
