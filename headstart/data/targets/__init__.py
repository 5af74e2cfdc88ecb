"""Which kind of target a data set's labels are of, and what their cells say."""

from __future__ import annotations

from headstart import catalog
from headstart.contracts.targets import Targets
from headstart.data.schema import Schema
from headstart.data.sources import Contents, Row
from headstart.data.targets.writing import settle
from headstart.errors import DataError, UnknownNameError

USUAL = "classes"  # what cells are where no kind claims them

__all__ = ["USUAL", "Row", "Targets", "kind_named", "kind_of", "known_kind", "remark", "settle"]


def kind_named(name: str) -> Targets:
    """A kind of target by name, ours or another package's. Raises UnknownNameError."""
    return catalog.targets(name)


def known_kind(name: str) -> Targets | None:
    """The same, for a record that may name what is not installed: None for that."""
    try:
        return kind_named(name)
    except UnknownNameError:
        return None


def kind_of(contents: Contents, schema: Schema) -> Targets:
    """The kind of target: as the schema or the layout says, else as the labels look.

    Only kinds of the catalog itself are asked whether cells look like theirs; others are named. A
    delimiter makes the kind that has one. Raises HeadstartError for a kind that is not known, or
    one that a delimiter contradicts.
    """
    name = schema.kind or ("" if schema.delimiter else contents.kind)
    kinds = [kind_named(each) for each in ([name] if name else catalog.TARGETS)]
    if schema.delimiter:
        parted = [each.parted(schema.delimiter) for each in kinds]
        kind = next((each for each in parted if each is not None), None)
        if kind is None:
            raise DataError(
                f"{contents.root} can't have a delimiter between labels where {name} are wanted. "
                "Leave it out, or choose a task for label sets."
            )
        return kind
    values = [row.value for row in contents.rows]
    suiting = (each for each in kinds if name or each.suits(values))
    return next(suiting, None) or kind_named(USUAL)


def remark(kind: Targets, contents: Contents, schema: Schema) -> str:
    """A sentence where labels might be meant otherwise than they look; else empty."""
    if schema.kind or contents.kind:
        return ""
    return kind.remark([row.value for row in contents.rows], contents.column)
