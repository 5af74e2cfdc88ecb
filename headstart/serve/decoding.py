"""Inputs as a network takes them in, or why they can't be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, final

from headstart.data import Input
from headstart.errors import DataError


@final
@dataclass(frozen=True)
class Decoded:
    """An input as the network takes it in, or why it can't be."""

    input: Input
    value: Any = None
    problem: str = ""


def windows(inputs: Iterable[Input], size: int) -> Iterator[list[Input]]:
    """Inputs, so many at a time."""
    each = iter(inputs)
    while window := list(islice(each, size)):
        yield window


def reason(error: DataError) -> str:
    """Why an input can't be read, in a few words."""
    cause = error.__cause__
    if isinstance(cause, OSError) and cause.strerror:
        return f"it can't be read: {cause.strerror.lower()}"
    return str(error).rstrip(".")
