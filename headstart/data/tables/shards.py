"""WebDataset shards, unpacked: files of one sample share a name up to its first point.

Reference: Aizman et al. 2019 (High Performance I/O for Large Scale Deep Learning).
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from headstart.data.sources import FileSource
from headstart.data.tables.interface import TableInMemory, column_names
from headstart.errors import DataError
from headstart.runtime.encodings import NotTextError, decoded

_COLUMNS = {"cls": "label", "txt": "text"}  # what the format's own endings stand for
_TOLD = frozenset({"cls", "txt", "json"})
_PICTURES = frozenset("jpg jpeg png webp ppm pgm pbm bmp gif tif tiff jfif avif".split())
_MOSTLY = 0.9  # of the samples, those that have the same files


def is_shard(folder: Path) -> bool:
    """Whether the files in a folder are samples, each with a label or a text beside it."""
    samples = _samples(folder)
    kinds = Counter(frozenset(files) for files in samples.values())
    if not kinds:
        return False
    kind, count = kinds.most_common(1)[0]
    paired = len(kind) > 1 and bool(kind & _TOLD)
    return paired and count >= _MOSTLY * len(samples)


def read(folder: Path) -> list[TableInMemory]:
    """The samples as a table: `image`, `label`, `text` and what their JSON says.

    Raises DataError for a sample's file that is no text or no JSON object.
    """
    rows = [_row(files) for _, files in sorted(_samples(folder).items())]
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [(number, [row.get(name) for name in names]) for number, row in enumerate(rows)]
    return [TableInMemory(folder, column_names(folder, names), cells, "sample")]


def _samples(folder: Path) -> dict[str, dict[str, Path]]:
    samples: defaultdict[str, dict[str, Path]] = defaultdict(dict)
    for path in folder.rglob("*"):
        key, _, ending = path.name.partition(".")
        if key and ending and path.is_file():
            inner = path.relative_to(folder).with_name(key).as_posix()
            samples[inner][ending.lower()] = path
    return samples


def _row(files: dict[str, Path]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for ending, path in sorted(files.items()):
        if ending.rpartition(".")[2] in _PICTURES:
            row.setdefault("image", FileSource(path))
        elif ending in _COLUMNS:
            row[_COLUMNS[ending]] = _text(path).strip()
    for name, value in _facts(files).items():
        row.setdefault(name, value)
    return row


def _facts(files: dict[str, Path]) -> dict[str, Any]:
    if "json" not in files:
        return {}
    try:
        facts = json.loads(_text(files["json"]))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{files['json']} is not JSON: {error}. Correct the file.") from error
    return facts if isinstance(facts, dict) else {}


def _text(path: Path) -> str:
    try:
        return decoded(FileSource(path).read())
    except NotTextError as error:
        raise DataError(f"{path} is not {error.encoding}. Save the file as UTF-8.") from error
