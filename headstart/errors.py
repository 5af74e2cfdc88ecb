"""The errors Headstart raises. Messages read `<what you gave> <why not>. <what to do>`."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class HeadstartError(Exception):
    """Something Headstart can't do with what it was given; the message is meant for the user."""


class DataError(HeadstartError):
    """The data set, or one of its files, can't be used as it is."""


class UndirectedError(DataError):
    """A table of translations that says of no column that it is the answer."""


class RemoteError(HeadstartError):
    """Data elsewhere can't be read now, for which no item is to blame: none is skipped."""


class WeightsError(HeadstartError):
    """Pretrained weights are missing, unsafe, or belong to another network."""


class ContractError(HeadstartError):
    """A part does not keep what its contract promises; the message is meant for its author."""


class OutOfTimeError(HeadstartError):
    """The budget ended before work that must be whole was done.

    `price` is what an item of it takes, in seconds, where it is known.
    """

    price: float = 0.0


class UnknownNameError(HeadstartError):
    """A name that the catalog or a hub doesn't know; the message offers the nearest known ones."""

    def __init__(self, kind: str, name: str, choices: Iterable[str]) -> None:
        names = sorted(choices)
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
        if near:
            advice = f"Did you mean {' or '.join(repr(match) for match in near)}?"
        elif len(names) <= 40:
            advice = f"Known: {', '.join(names)}."
        else:
            advice = f"None of {len(names)} is like it; `headstart backbones` lists them."
        super().__init__(f"{kind.capitalize()} {name!r} is not known. {advice}")


def reason(error: object) -> str:
    """The first line of what an error says, without a full stop; its kind where it says nothing."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:200].rstrip(".")


def named_reason(error: BaseException) -> str:
    """The kind of an error and the first line of what it says."""
    kind = type(error).__name__
    return f"{kind}: {reason(error)}" if str(error).strip() else kind
