"""`headstart.json`, what a saved model says of itself: read as a stranger's file is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from headstart.errors import WeightsError
from headstart.loading import members

FILE: Final = "headstart.json"
FORMAT: Final = 1
_HASH: Final = "sha256"  # over all other entries
_LARGEST: Final = 64 * 2**20  # bytes of a text file in a saved model
_DEEPEST: Final = 20  # lists and objects in one another
_TEXTS: Final = frozenset({".json", ".md", ".txt", ".html", ".py", ".csv", ""})


def write(folder: Path, content: Mapping[str, Any]) -> None:
    """Write a record with its format and a hash over its entries. Raises OSError."""
    entries = {**content, "format": FORMAT}
    whole = {**entries, _HASH: _hash(entries)}
    text = json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False)
    (folder / FILE).write_bytes(f"{text}\n".encode())


def read(folder: Path) -> dict[str, Any]:
    """The entries of a folder's record, without format and hash.

    Raises WeightsError where there is none, where it was changed, or where something in the folder
    is no file that could be read: a pipe, a device, a text of absurd size.
    """
    path = folder / FILE
    members.demand_one(folder)
    if not path.exists():
        raise WeightsError(
            f"{folder} is not a saved model: it has no {FILE}. Give the folder that `fit` wrote."
        )
    _demand_plain_files(folder)
    try:
        content = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
        _demand_shallow(content, _DEEPEST)
    except (OSError, ValueError, RecursionError) as error:
        raise WeightsError(
            f"{path} can't be read ({error}). Give a folder that Headstart saved."
        ) from None
    if not isinstance(content, dict) or content.pop("format", None) != FORMAT:
        raise WeightsError(
            f"{path} can't be read: it is not a record of format {FORMAT}. "
            "Save the model again with this version."
        )
    right = _hash({"format": FORMAT} | {k: v for k, v in content.items() if k != _HASH})
    if content.pop(_HASH, right) != right:  # records of earlier versions state none
        raise changed(path)
    return content


def changed(path: Path) -> WeightsError:
    """The error for a file of a saved model that is no more what it was."""
    return WeightsError(
        f"{path} has changed since it was saved. Copy it again, or make the model again."
    )


def _hash(entries: Mapping[str, Any]) -> str:
    text = json.dumps(entries, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _demand_plain_files(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            continue
        if not path.is_file():
            raise WeightsError(f"{path} is not a regular file. Take it out of the saved model.")
        size = path.stat().st_size
        if path.suffix.lower() in _TEXTS and size > _LARGEST:
            raise WeightsError(
                f"{path} has {size} bytes, more than the {_LARGEST} that a saved model's texts "
                "may have. Take it out of the saved model, or copy it again."
            )


def _demand_shallow(content: Any, levels: int) -> None:
    if levels < 0:
        raise ValueError("it is nested too deeply")
    parts = content.values() if isinstance(content, dict) else content
    for part in parts if isinstance(content, dict | list) else ():
        _demand_shallow(part, levels - 1)


def _refuse(number: str) -> Any:
    raise ValueError(f"{number} is no finite number")
