"""What one cell says by itself: no value, a number, or a mark of 0 or 1."""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

MISSING = frozenset(  # pandas' words for no value
    "NaN nan NAN -NaN -nan NA <NA> #NA N/A n/a #N/A NULL null None NaT".split()
)
_FEW_PIXELS = 64


def number(value: Any) -> float | None:
    """A value as a finite number; None where it is none. Text counts, as tables hold nothing else.

    Python would take underscores too, which stand in names, not in numbers.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        return None
    if isinstance(value, str) and "_" in value:
        return None
    try:
        parsed = float(value)
    except (ValueError, OverflowError):
        return None
    return parsed if math.isfinite(parsed) else None


def is_blank(value: Any) -> bool:
    """Whether a table says with this value that there is none."""
    empty = isinstance(value, str) and (not value.strip() or value.strip() in MISSING)
    return value is None or value != value or empty


def mark(value: Any) -> float | None:
    """A number, or a truth value as 0 or 1; None for anything else."""
    word = str(value).strip().lower()
    return float(word == "true") if word in ("true", "false") else number(value)


def are_marks(values: Iterable[Any]) -> bool:
    """Whether a column holds 0 and 1 alone, and both."""
    return {mark(value) for value in values if not is_blank(value)} == {0.0, 1.0}


def are_signs(values: Iterable[Any]) -> bool:
    """Whether a column holds 1 and -1 alone, or one of both, as CelebA's attributes do."""
    signs = {mark(value) for value in values if not is_blank(value)}
    return bool(signs) and signs <= {1.0, -1.0}


def are_pixels(values: Iterable[Any]) -> bool:
    """Whether the first cell holds as many whole numbers from 0 to 255 as a small picture has."""
    first = next((str(value) for value in values if not is_blank(value)), "")
    cells = first.replace(",", " ").strip("[] ").split()
    return len(cells) >= _FEW_PIXELS and all(map(str.isdecimal, cells))
