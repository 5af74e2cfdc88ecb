"""Labels short enough for a figure, and still distinct."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

LONGEST = 26  # characters


def distinct(labels: Sequence[Any]) -> list[str]:
    """Each label within 26 characters, those that differ still different.

    Long ones lose their end; where that makes two alike, their middle; else they get a number.
    """
    whole = [" ".join(str(label).split()) for label in labels]
    shown = {name: _cut(name, LONGEST - 1, 0) for name in whole}
    for ahead in (LONGEST // 2, LONGEST // 3):
        for name in _alike(shown):
            shown[name] = _cut(name, ahead, LONGEST - 1 - ahead)
    for number, name in enumerate(_alike(shown), 1):
        shown[name] = f"{name[: LONGEST - 7]}… ({number})"
    return [shown[name] for name in whole]


def _alike(shown: dict[str, str]) -> list[str]:
    """The names that are shown as another one is."""
    counts = Counter(shown.values())
    return [name for name, short in shown.items() if counts[short] > 1]


def _cut(name: str, ahead: int, behind: int) -> str:
    if len(name) <= LONGEST:
        return name
    return f"{name[:ahead]}…{name[-behind:] if behind else ''}"
