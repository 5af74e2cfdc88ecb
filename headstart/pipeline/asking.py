"""What a user says of labelled data that a saved model is to be asked about."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

from headstart import artifact
from headstart.artifact import Record
from headstart.data import Schema


class Asked(TypedDict, total=False):
    """The columns of a manifest, what stands between labels, and which folders are the classes."""

    label: str | None
    text: Sequence[str]
    image: str | None
    delimiter: str | None
    class_level: int | None


def asked_schema(model: Path, kind: str, asked: Asked) -> Schema:
    """How data are to be read for a saved model; classes are where they were in its training."""
    return Schema(
        label=asked.get("label"),
        content=tuple(asked.get("text") or ()),
        kind=kind,
        delimiter=asked.get("delimiter"),
        files=asked.get("image"),
        class_level=asked.get("class_level") or class_level(artifact.read(model)),
    )


def class_level(record: Record) -> int | None:
    """Which folders were the classes in a model's training, where its user said it."""
    level = record.settings.get("class_level")
    return level if isinstance(level, int) else None
