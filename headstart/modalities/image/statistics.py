"""What a picture is like without any network: its colours, and which way its edges run."""

from __future__ import annotations

import numpy as np

SIDE = 64  # px that a picture is squashed to
_CELL, _DIRECTIONS = 8, 9  # px; directions of an edge, up to half a turn
_SHADES, _PARTS = 4, 4  # of each channel in the histogram; parts of a side that have moments
_FLAT = 0.02  # of the steepest edge: what is flatter is noise
_MOST = 0.4  # of a cell's surroundings, which no single direction may exceed


def colours(pixels: np.ndarray) -> np.ndarray:
    """Roots of the shares of 64 colours, then mean and spread of 16 parts in each channel, (160,).

    `pixels` (3, 64, 64) uint8. Reference: Swain and Ballard 1991; Stricker and Orengo 1995.
    """
    red, green, blue = (pixels.astype(np.int64) * _SHADES // 256).reshape(3, -1)
    shares = np.bincount((red * _SHADES + green) * _SHADES + blue, minlength=_SHADES**3)
    size = SIDE // _PARTS
    parts = pixels.reshape(3, _PARTS, size, _PARTS, size).astype(np.float32) / 255
    moments = [moment(axis=(2, 4)).ravel() for moment in (parts.mean, parts.std)]
    return np.concatenate([np.sqrt(shares / SIDE**2), *moments]).astype(np.float32)


def edges(pixels: np.ndarray) -> np.ndarray:
    """How much of each cell's edges runs in each of nine directions, (576,) float32.

    Histograms of oriented gradients (Dalal and Triggs 2005) of `pixels` (3, 64, 64) uint8 in grey,
    over cells of 8 px, each relative to the cells around it.
    """
    down, right = np.gradient(pixels.astype(np.float32).mean(axis=0) / 255)
    steep = np.hypot(down, right)
    angle = np.mod(np.arctan2(down, right), np.pi) * (_DIRECTIONS / np.pi)
    low = angle.astype(np.int64)
    share = angle - low
    row = np.arange(SIDE) // _CELL
    cell = (row[:, None] * (SIDE // _CELL) + row) * _DIRECTIONS
    histogram = np.zeros((SIDE // _CELL) ** 2 * _DIRECTIONS)
    for direction, part in ((low, 1 - share), (low + 1, share)):
        places = cell + direction % _DIRECTIONS
        histogram += np.bincount(places.ravel(), (steep * part).ravel(), len(histogram))
    cells = histogram.reshape(SIDE // _CELL, SIDE // _CELL, _DIRECTIONS)
    energy = np.pad((cells**2).sum(axis=2), 1)
    around = sum(energy[y : y + len(cells), x : x + len(cells)] for y in range(3) for x in range(3))
    scale = np.sqrt(around) + _FLAT * _CELL**2
    return np.asarray(np.minimum(cells / scale[:, :, None], _MOST), np.float32).ravel()
