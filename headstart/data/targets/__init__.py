"""Kinds of target, and which kind a data set's labels are of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headstart.data.schema import Schema
from headstart.data.sources import Found, Row
from headstart.data.targets.classes import Classes
from headstart.data.targets.interface import Targets
from headstart.data.targets.label_sets import LabelSets
from headstart.data.targets.numbers import Numbers, is_blank, number
from headstart.entry_points import advertised, located
from headstart.errors import DataError, UnknownNameError

KINDS: dict[str, type[Targets]] = {kind.name: kind for kind in (Classes, LabelSets, Numbers)}
_MOSTLY = 0.9  # of the labels numbers: the others are then mistakes, not names of classes

__all__ = ["KINDS", "Row", "Targets", "kind_named", "kind_of"]


def kind_named(name: str) -> type[Targets]:
    """A kind of target by name, ours or another package's. Raises UnknownNameError."""
    others = advertised("targets")
    if name not in KINDS and name not in others:
        raise UnknownNameError("kind of target", name, {*KINDS, *others})
    kind: type[Targets] = KINDS[name] if name in KINDS else located(others[name])
    return kind


def kind_of(found: Found, schema: Schema) -> Targets:
    """The kind of target: as the schema or the layout says, else as the labels look.

    A delimiter and lists of text make label sets. Lists of numbers, and numbers of which any has a
    fraction, make numbers. All else makes classes, whole numbers too. Raises HeadstartError for
    a kind that is not known, or one that a delimiter contradicts.
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


def _told(values: Sequence[Any]) -> str:
    lists = [value for value in values if isinstance(value, list)]
    if lists:
        inside = [each for value in lists for each in value]
        numeric = inside and all(isinstance(each, int | float) for each in inside)
        return Numbers.name if numeric else LabelSets.name
    given = [value for value in values if not is_blank(value)]
    numbers = [found for found in map(number, given) if found is not None]
    fractions = any(not found.is_integer() for found in numbers)
    return Numbers.name if fractions and len(numbers) >= _MOSTLY * len(given) else Classes.name
