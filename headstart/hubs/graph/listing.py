"""The graph files in the current folder, by their names alone."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from headstart.contracts import Card
from headstart.hubs.graph.planning import KINDS, SAVED_MODEL


def cards(pattern: str) -> Iterator[Card]:
    """Graph files and SavedModels' folders here whose names match the shell pattern."""
    for path in sorted(Path().iterdir()):
        graph = path.suffix.lower() in KINDS and path.is_file()
        whole = path.suffix.lower() != ".xml" or path.with_suffix(".bin").is_file()
        if ((graph and whole) or (path / SAVED_MODEL).is_file()) and fnmatchcase(
            path.name, pattern
        ):
            yield Card(f"graph:{path.name}", "image", None, "", None, None, True)
