"""Which descriptions of networks are in this folder, told without reading them wholly."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from headstart.contracts import Card

_LAYER: Final = re.compile(rb"^\s*layers?\s*\{", re.MULTILINE)  # a solver's file has none
_READ: Final = 1 << 16  # bytes, in which a network's first layer is found


def cards(pattern: str) -> Iterator[Card]:
    """Each description with each file of weights that may be its own, by shell pattern.

    Those are the ones of its name, or else all beside it.
    """
    for path in sorted(Path().glob("*.prototxt")):
        if not fnmatchcase(path.name, pattern) or not _describes(path):
            continue
        beside = sorted(Path().glob("*.caffemodel"))
        own = [weights for weights in beside if weights.stem == path.stem]
        for end in [f"@{weights.name}" for weights in own or beside] or [""]:
            yield Card(f"caffe:{path.name}{end}", "image", None, "", None, None, True)


def _describes(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return _LAYER.search(file.read(_READ)) is not None
    except OSError:
        return False  # loading it says why
