"""Inputs as a network takes them in, or why it can't."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, final

from headstart.data import Input
from headstart.errors import DataError
from headstart.features.reading import Reader


@final
@dataclass(frozen=True)
class Decoded:
    """An input as the network takes it in, or why it can't be."""

    input: Input
    value: Any = None
    problem: str = ""


def decoded(each: Input, reader: Reader) -> Decoded:
    """One input, read and decoded."""
    if each.problem:
        return Decoded(each, problem=each.problem)
    try:
        raw = each.item.read()
        problem = reader.modality.problem(raw)
        value = None if problem else reader.modality.decode(raw, reader.preprocess)
    except DataError as error:
        return Decoded(each, problem=_reason(error))
    return Decoded(each, value, problem or "")


def windows(inputs: Iterable[Input], size: int) -> Iterator[list[Input]]:
    """Inputs, so many at a time."""
    each = iter(inputs)
    while window := list(islice(each, size)):
        yield window


def _reason(error: DataError) -> str:
    cause = error.__cause__
    if isinstance(cause, OSError) and cause.strerror:
        return f"it can't be read: {cause.strerror.lower()}"
    return str(error).rstrip(".")
