"""Kinds of target, and which kind a data set's labels are of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from headstart.contracts.entry_points import advertised, located
from headstart.data.schema import Schema
from headstart.data.sources import Found, Row
from headstart.data.tables.cells import is_blank, number
from headstart.data.targets.classes import Classes
from headstart.data.targets.interface import Targets
from headstart.data.targets.label_sets import LabelSets
from headstart.data.targets.numbers import Numbers
from headstart.data.targets.writing import settle
from headstart.errors import DataError, UnknownNameError

KINDS: dict[str, type[Targets]] = {kind.name: kind for kind in (Classes, LabelSets, Numbers)}
_MOSTLY = 0.9  # of the labels numbers: the others are then mistakes, not names of classes
_SOME = 0.1  # of the labels parted by a sign: they may be several each
_SCALE = 3  # different numbers that may be a scale, such as of stars
_MANY, _FEW_EACH = 20, 5  # different whole numbers, and items of each, from when they are classes

__all__ = ["KINDS", "Row", "Targets", "kind_named", "kind_of", "remark", "settle"]


def kind_named(name: str) -> type[Targets]:
    """A kind of target by name, ours or another package's. Raises UnknownNameError."""
    others = advertised("targets")
    if name not in KINDS and name not in others:
        raise UnknownNameError("kind of target", name, {*KINDS, *others})
    kind: type[Targets] = KINDS[name] if name in KINDS else located(others[name])
    return kind


def kind_of(found: Found, schema: Schema) -> Targets:
    """The kind of target: as the schema or the layout says, else as the labels look.

    A delimiter, lists of text and lists of whole numbers that differ in length make label sets.
    Other lists of numbers, numbers of which any has a fraction, and whole ones that are too many
    for classes make numbers. All else makes classes, few whole numbers too. Raises HeadstartError
    for a kind that is not known, or one that a delimiter contradicts.
    """
    asked = schema.kind or ("" if schema.delimiter else found.kind)
    if asked:
        kind_named(asked)
    if schema.delimiter and asked not in ("", LabelSets.name):
        raise DataError(
            f"{found.root} can't have a delimiter between labels where {asked} are wanted. "
            "Leave it out, or choose a task for label sets."
        )
    name = asked or (LabelSets.name if schema.delimiter else _told([r.value for r in found.rows]))
    return LabelSets(schema.delimiter) if name == LabelSets.name else kind_named(name)()


def remark(kind: Targets, found: Found, schema: Schema) -> str:
    """A sentence where whole numbers or words with `|` could as well mean another; else empty."""
    words = [row.value for row in found.rows if isinstance(row.value, str)]
    parted = [] if schema.kind or found.kind else [word for word in words if "|" in word]
    if kind.name == Classes.name and parted and len(parted) >= _SOME * len(words):
        return f"{parted[0]!r} is read as one class (--delimiter '|' parts it into several labels)"
    numbers = [number(row.value) for row in found.rows if not is_blank(row.value)]
    different = len(set(numbers))
    if schema.kind or found.kind or None in numbers or different < _SCALE:
        return ""
    if kind.name == Classes.name:
        return (
            f"the {different} different numbers of `{found.column}` are read as classes "
            "(--targets numbers reads them as quantities)"
        )
    if all(float(value or 0).is_integer() for value in numbers):
        return f"--targets classes reads each number of `{found.column}` as a class"
    return ""


def _told(values: Sequence[Any]) -> str:
    lists = [value for value in values if isinstance(value, list)]
    if lists:
        inside = [each for value in lists for each in value]
        numeric = inside and all(isinstance(each, int | float) for each in inside)
        whole = all(isinstance(each, int) for each in inside)
        sets = not numeric or (whole and len({len(value) for value in lists}) > 1)
        return LabelSets.name if sets else Numbers.name
    given = [value for value in values if not is_blank(value)]
    numbers = [found for found in map(number, given) if found is not None]
    if len(numbers) < _MOSTLY * len(given):
        return Classes.name
    fractions = any(not found.is_integer() for found in numbers)
    quantities = fractions or (len(numbers) == len(given) and _are_quantities(numbers))
    return Numbers.name if quantities else Classes.name


def _are_quantities(numbers: Sequence[float]) -> bool:
    """Whether whole numbers are too many and too uneven to be classes' numbers."""
    counts = Counter(numbers)
    if len(counts) < _MANY:
        return False
    first = min(counts)
    counted = first in (0, 1) and max(counts) == first + len(counts) - 1
    if counted and len(numbers) >= 2 * len(counts):
        return False
    return min(counts.values()) == 1 or len(numbers) < _FEW_EACH * len(counts)
