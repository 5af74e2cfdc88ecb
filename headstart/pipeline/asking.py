"""What a user says of labelled data that a saved model is to be asked about."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

from headstart.data import Schema
from headstart.pipeline.opening import fitted_schema


class Asked(TypedDict, total=False):
    """The columns of a manifest, what stands between labels, and which folders are the classes."""

    label: str | None
    text: Sequence[str]
    image: str | None
    delimiter: str | None
    class_level: int | None


def asked_schema(model: Path, asked: Asked) -> Schema:
    """How data are to be read for a saved model: as in its training, where nothing else is said."""
    schema = Schema(
        label=asked.get("label"),
        content=tuple(asked.get("text") or ()),
        delimiter=asked.get("delimiter"),
        files=asked.get("image"),
        class_level=asked.get("class_level"),
    )
    return fitted_schema(model, schema)
