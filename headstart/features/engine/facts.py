"""What is kept beside a converted network: the types of its outputs, and a hash of its files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import numpy as np

_FILE: Final = "facts.json"
_HASHED: Final = ("model.xml", "model.bin")


def types(folder: Path) -> dict[str, np.dtype]:
    """The types of the outputs by name, in order. Raises ValueError where a file was changed."""
    content = _content(folder)
    if content["digest"] != _digest(folder):
        raise ValueError(f"{folder} is damaged")
    return {name: np.dtype(kind) for name, kind in content["types"].items()}


def digest(folder: Path) -> str | None:
    """The hash of a converted network as it was written; None where there is none."""
    try:
        return str(_content(folder)["digest"])
    except (OSError, ValueError, LookupError, TypeError):
        return None


def write(folder: Path, types: Mapping[str, np.dtype]) -> None:
    """Write what holds of the files that lie in a folder. Raises OSError."""
    kinds = {name: kind.name for name, kind in types.items()}
    text = json.dumps({"types": kinds, "digest": _digest(folder)})
    (folder / _FILE).write_text(text, encoding="utf-8")


def _content(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / _FILE).read_text(encoding="utf-8"))
    return content


def _digest(folder: Path) -> str:
    total = blake2b(digest_size=16)
    for name in _HASHED:
        with open(folder / name, "rb") as file:
            while chunk := file.read(1 << 20):
                total.update(chunk)
    return total.hexdigest()
