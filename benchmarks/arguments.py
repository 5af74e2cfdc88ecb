"""What commands of the benchmarks are given: read, or refused in a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


class RefusedError(Exception):
    """What was asked for can't be done, in a sentence that says what to do."""


def demand(place: Path, holding: str) -> None:
    """Raise RefusedError where a folder is not there, `which holds` something."""
    if not place.is_dir():
        raise RefusedError(f"{place} is not there, {holding}")


def numbers(text: str, kind: type[float]) -> list[Any]:
    """The numbers in a comma-separated list. Raises RefusedError."""
    try:
        return [kind(part) for part in text.split(",") if part]
    except ValueError:
        raise RefusedError(f"{text!r} are no numbers. Give them with commas between.") from None


def names(text: str, choices: Mapping[str, object], what: str) -> list[str]:
    """The names in a comma-separated list, in the registry's order. Raises RefusedError."""
    chosen = [name for name in text.split(",") if name]
    for name in chosen:
        if name not in choices:
            raise RefusedError(f"{what} {name!r} is not known. Give of: {', '.join(choices)}.")
    return [name for name in choices if name in chosen]
