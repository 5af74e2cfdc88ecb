"""Texts as arrays, as tasks that write text, their metrics and the evidence hand them on.

An answer is a row of code points, 0 behind its end. Rows of two arrays may be of different widths.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


def encoded(texts: Iterable[str]) -> np.ndarray:
    """The code points of N texts, (N, the longest) int32; of none (0, 1). NUL is left out."""
    rows = np.array([text.replace("\0", "") for text in texts], dtype=np.str_)
    width = max(rows.dtype.itemsize // 4, 1)
    return rows.view(np.uint32).reshape(-1, width).astype(np.int32)


def decoded(rows: np.ndarray) -> list[str]:
    """The texts of code points (N, L), which may be floats as a network's outputs are."""
    if not rows.size:
        return [""] * len(rows)
    codes = np.ascontiguousarray(rows, dtype=np.uint32)
    texts = codes.view(f"U{codes.shape[1]}").reshape(-1).tolist()
    return [text.partition("\0")[0] for text in texts]


def widened(rows: np.ndarray, width: int) -> np.ndarray:
    """Code points (N, L) as (N, width), cut there or filled up with 0."""
    return np.pad(rows[:, :width], ((0, 0), (0, max(0, width - rows.shape[1]))))
