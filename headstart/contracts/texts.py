"""Texts as rows of numbers, so that what a model writes is stored and judged like other outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

WIDTH: Final = 1024  # code points of an answer


def rows_of(texts: Sequence[str], width: int | None = None) -> np.ndarray:
    """Unicode's code points of N texts (N, width) int32, 0 behind the last.

    As wide as the longest unless a width is given, at which longer texts are cut.
    """
    width = max([1, *map(len, texts)]) if width is None else width
    rows = np.zeros((len(texts), width), dtype=np.int32)
    for row, text in zip(rows, texts, strict=True):
        points = np.frombuffer(text[:width].encode("utf-32-le", "surrogatepass"), dtype="<u4")
        row[: len(points)] = points
    return rows


def texts_of(rows: np.ndarray) -> list[str]:
    """The texts of such rows, of any numeric type; each ends before its first 0."""
    texts = []
    for row in rows:
        points = row[: int((row != 0).argmin()) if not row.all() else len(row)]
        texts.append(points.astype("<u4").tobytes().decode("utf-32-le", "replace"))
    return texts
