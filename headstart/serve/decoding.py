"""Inputs as a network takes them in, or why it can't."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any, final

from headstart.data import Input
from headstart.errors import DataError
from headstart.features.reading import Reader, in_threads


@final
@dataclass(frozen=True)
class Decoded:
    """An input as the network takes it in, or why it can't be.

    `outside` are its columns whose value lies outside what was learned from, and what that was.
    """

    input: Input
    value: Any = None
    problem: str = ""
    outside: Mapping[str, str] = field(default_factory=dict)


def decoded(each: Input, reader: Reader) -> Decoded:
    """One input, read and decoded."""
    if each.problem:
        return Decoded(each, problem=each.problem)
    try:
        raw = each.item.read()
        problem = reader.modality.problem(raw)
        value = None if problem else reader.modality.decode(raw, reader.preprocess)
        outside = {} if problem else reader.modality.outside(raw, reader.preprocess)
    except DataError as error:
        return Decoded(each, problem=_reason(error))
    return Decoded(each, value, problem or "", outside)


def batch_of(inputs: Sequence[Input], reader: Reader) -> Any:
    """A batch of one input. Raises DataError for one that can't be read, and for several."""
    if len(inputs) != 1:
        raise DataError(f"{len(inputs)} inputs were given to preprocess. Give one at a time.")
    value = decoded(inputs[0], reader)
    if value.problem:
        raise inputs[0].unusable(value.problem)
    return reader.modality.collate([value.value], reader.preprocess)


def decoded_ahead(inputs: Iterable[Input], reader: Reader, size: int) -> Iterator[list[Decoded]]:
    """Windows of so many decoded inputs; threads decode the next one meanwhile."""
    return in_threads(partial(decoded, reader=reader), _windows(inputs, size), 1)


def _windows(inputs: Iterable[Input], size: int) -> Iterator[list[Input]]:
    each = iter(inputs)
    while window := list(islice(each, size)):
        yield window


def _reason(error: DataError) -> str:
    cause = error.__cause__
    if isinstance(cause, OSError) and cause.strerror:
        return f"it can't be read: {cause.strerror.lower()}"
    return str(error).rstrip(".")
