"""`tasks.json`: which folders in a saved model answer which task, where it answers several."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from headstart.errors import WeightsError

FILE: Final = "tasks.json"
FORMAT: Final = 1
_LARGEST: Final = 2**20  # bytes


def write(folder: Path, tasks: Mapping[str, str], run: Mapping[str, Any]) -> None:
    """Write the folder's name of each task, and what run they are of. Raises OSError."""
    content = {"format": FORMAT, "tasks": dict(tasks), "run": dict(run)}
    draft = folder / f"{FILE}.writing"
    draft.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(draft, folder / FILE)


def are_in(folder: Path) -> bool:
    """Whether a folder answers several tasks."""
    return (folder / FILE).is_file()


def demand_one(folder: Path) -> None:
    """Raise WeightsError where a folder answers several tasks."""
    if are_in(folder):
        own = ", ".join(str(place) for place in read(folder).values())
        raise WeightsError(f"{folder} answers several tasks, and one is wanted. Give one of {own}.")


def read(folder: Path) -> dict[str, Path]:
    """The folder of each task, in order.

    Raises WeightsError where there is no such file, or it can't be read, or names what lies
    elsewhere.
    """
    return {name: folder / own for name, own in _content(folder)["tasks"].items()}


def run_of(folder: Path) -> dict[str, Any]:
    """What run they are of. Raises as `read` does."""
    return dict(_content(folder)["run"])


def _content(folder: Path) -> dict[str, Any]:
    path = folder / FILE
    try:
        if path.stat().st_size > _LARGEST:
            raise ValueError(f"it has {path.stat().st_size} bytes")
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT or not isinstance(content["run"], dict):
            raise ValueError(f"it is not of format {FORMAT}")
        names = content["tasks"]
        if not isinstance(names, dict) or not names:
            raise ValueError("it names no task")
        for own in names.values():
            if not isinstance(own, str) or own in ("", ".", "..") or Path(own).name != own:
                raise ValueError(f"{str(own)[:40]!r} is no folder in it")
            if (folder / own).resolve().parent != folder.resolve():
                raise ValueError(f"{own!r} lies elsewhere")
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise WeightsError(
            f"{path} can't be read ({error}). Copy it again, or make the model again."
        ) from None
    return dict(content)
