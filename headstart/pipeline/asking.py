"""What a user says of labelled data that a saved model is to be asked about."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict, get_type_hints

from headstart.data import Schema
from headstart.pipeline.opening import fitted_schema
from headstart.pipeline.options import demand_known


class Asked(TypedDict, total=False):
    """The columns of a manifest, what stands between labels, and which folders are the classes."""

    label: str | None
    text: str | Sequence[str]
    image: str | None
    delimiter: str | None
    class_level: int | None


def asked_schema(model: Path, asked: Asked) -> Schema:
    """How data are to be read for a saved model: as in its training, where nothing else is said.

    Raises UnknownNameError for a keyword that names no such thing.
    """
    demand_known(asked, get_type_hints(Asked))
    text = asked.get("text") or ()
    schema = Schema(
        label=asked.get("label"),
        content=(text,) if isinstance(text, str) else tuple(text),
        delimiter=asked.get("delimiter"),
        files=asked.get("image"),
        class_level=asked.get("class_level"),
    )
    return fitted_schema(model, schema)
