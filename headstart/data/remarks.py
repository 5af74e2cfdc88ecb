"""Sentences on the names of classes."""

from __future__ import annotations

from collections.abc import Sequence

from headstart.contracts import Targets
from headstart.contracts.labels import several
from headstart.contracts.targets import Encoding
from headstart.data.names import alike


def of_rare(rare: Sequence[str]) -> tuple[str, ...]:
    """On classes that are left out, as a single item can't be parted."""
    names = several([*map(repr, rare)])
    if len(rare) == 1:
        return (f"Class {names} has only one usable item and is left out.",)
    return (f"Classes {names} have only one usable item each and are left out.",) if rare else ()


def of_twins(labels: Sequence[str], kind: Targets) -> tuple[str, ...]:
    """On classes whose names differ in case alone."""
    first: dict[str, str] = {}
    pairs = [(first.setdefault(alike(label), label), label) for label in labels]
    twins = [f"{one!r} and {other!r}" for one, other in pairs if one != other]
    if kind.encoding is not Encoding.INDEX or not twins:
        return ()
    return (
        f"Classes {several(twins)} differ in case alone and are two classes. "
        "Write them the same way if they are one.",
    )
