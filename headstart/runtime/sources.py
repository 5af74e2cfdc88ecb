"""Whether files are as they were when something was made of them: by name, size and time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

_MOST: Final = 1_000  # files; a folder of more is none of a backbone
_SNAPSHOTS, _REFS = "snapshots", "refs"  # of the Hugging Face cache: contents, and what names mean

Stamp = list[list[str | int]]


def stamp(places: Sequence[str | Path]) -> Stamp | None:
    """The files that places stand for, and their state; None where one can't be looked at.

    A folder stands for all files in it, a file for itself and the JSON files beside it; what lies
    in a snapshot of the Hugging Face cache also for what says which snapshot is the present one.
    """
    rows: Stamp = []
    try:
        for file in sorted({file for place in places for file in _files(Path(place).absolute())}):
            status = file.stat()
            rows.append([str(file), status.st_size, status.st_mtime_ns])
            if len(rows) > _MOST:
                return None
    except OSError:
        return None
    return rows or None


def _files(place: Path) -> Iterator[Path]:
    if place.is_dir():
        yield from (path for path in place.rglob("*") if path.is_file())
    else:
        yield place
        yield from place.parent.glob("*.json")
    parts = place.parts
    if _SNAPSHOTS in parts:
        refs = Path(*parts[: parts.index(_SNAPSHOTS)], _REFS)
        yield from (path for path in refs.rglob("*") if path.is_file())
