"""What a form takes in: decoded items as arrays by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from headstart.contracts import Modality, Preprocess

PIXELS, ROWS = "pixels", "rows"
_CHANNELS_FIRST: Final = 3  # dimensions of one decoded picture


def fed(values: Sequence[Any], modality: Modality, preprocess: Preprocess) -> dict[str, np.ndarray]:
    """Decoded items as arrays by name, of items of one size.

    Pictures are `pixels` (N, C, H, W) uint8, which the form scales itself; all else is what
    the network takes: rows of tables `rows` (N, D) float32, others by the names of its inputs.
    """
    if are_levels(values[0]):
        return {PIXELS: np.stack(values)}
    batch = modality.arrays(values, preprocess)
    if batch is None:
        batch = modality.collate(values, preprocess)
    arrays = batch if isinstance(batch, Mapping) else {ROWS: batch}
    return {name: np.asarray(arrays[name]) for name in sorted(arrays)}


def are_levels(value: Any) -> bool:
    """Whether a decoded item is a picture in levels from 0 to 255, channels first."""
    return (
        isinstance(value, np.ndarray) and value.dtype == np.uint8 and value.ndim == _CHANNELS_FIRST
    )


def example(batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Two items of this shape that hold nothing of anybody's: zeros, of whole numbers ones.

    What is of any length is at least 2 long, as tracers take a length of 1 for a constant.
    """
    arrays = {}
    for name, values in batch.items():
        shape = [2, *values.shape[1:]]
        if "mask" in batch:
            shape[1] = max(2, shape[1])
        whole = values.dtype.kind == "i"
        arrays[name] = np.ones(shape, values.dtype) if whole else np.zeros(shape, values.dtype)
    return arrays
