"""Manifests: tables that list items and their labels (CSV, TSV, JSON lines, Parquet)."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path
from typing import Any

from headstart.contracts import Modality
from headstart.data import parquet
from headstart.data.schema import Columns, Schema, choose_columns
from headstart.data.sources import (
    SPLIT_WORDS,
    FileSource,
    Found,
    InlineSource,
    Row,
    Source,
    text_content,
)
from headstart.data.tables import read_records
from headstart.errors import DataError

SUFFIXES = frozenset({".csv", ".tsv", ".jsonl", ".parquet"})
_NO_CONTENT, _NO_SPLIT = "the row names no content", "the row names no split"


@dataclass(frozen=True)
class _Record:
    """One row of a table: its number, and what stands in the columns that are read."""

    place: str  # `line 3` or `row 3`
    number: int
    content: tuple[Any, ...]
    label: Any
    split: Any
    group: Any = None


_Locate = Callable[[_Record], tuple[str, Source | None]]  # an item's id and where to read it


@dataclass(frozen=True)
class _Manifest:
    """A manifest, and its name in the data set."""

    path: Path
    root: Path
    name: str
    modality: Modality

    def place(self, record: _Record) -> str:
        return f"{self.path} {record.place}"

    def id(self, record: _Record) -> str:
        return f"{self.name}#{record.number}"


def find_rows(
    path: Path, root: Path, split: str | None, modality: Modality, schema: Schema
) -> Found:
    """What one manifest lists; a row without content has no source.

    Paths count from the manifest's folder. Where the file is of no `split`, a column of that name
    says it. Raises DataError for a file that can't be read, a missing column, a path that leaves
    the folder, and a split that is none.
    """
    manifest = _Manifest(path, root, path.relative_to(root).as_posix(), modality)
    read = _parquet_records if path.suffix.lower() == ".parquet" else _text_records
    columns, records = read(manifest, schema)
    locate = _inline(manifest, columns) if modality.inline else _listed(manifest, columns)
    splits = _Splits.of(columns, records) if split is None else _Splits()
    rows = []
    for record in records:
        place = manifest.place(record)
        name, source = locate(record)
        own = split or splits.of_row(place, record)
        missing = _NO_CONTENT if source is None else ""
        if splits.names and own is None:
            source, missing = None, missing or _NO_SPLIT
        rows.append(Row(name, place, record.label, own, source, missing, _text(record.group)))
    said = (*((columns.said,) if columns.said else ()), *splits.said)
    return Found(root, tuple(rows), column=columns.label, split_names=splits.names, said=said)


def _inline(manifest: _Manifest, columns: Columns) -> _Locate:
    """The texts in the record's columns, as UTF-8; those that aren't Unicode fail their check."""

    def locate(record: _Record) -> tuple[str, Source | None]:
        for column, value in zip(columns.content, record.content, strict=True):
            if not isinstance(value, str | None):
                raise DataError(
                    f"{manifest.place(record)} has {value!r} in column {column!r}, which is no "
                    "text. Give text, or name another column."
                )
        parts = [value or "" for value in record.content]
        return manifest.id(record), InlineSource(text_content(parts)) if any(parts) else None

    return locate


def _listed(manifest: _Manifest, columns: Columns) -> _Locate:
    """The file that the record names, or the bytes that it holds."""
    base = os.path.realpath(manifest.path.parent)
    (column,) = columns.content

    def locate(record: _Record) -> tuple[str, Source | None]:
        (content,) = record.content
        if content is None or content == "" or isinstance(content, Source):
            return manifest.id(record), content or None
        if not isinstance(content, str):
            raise DataError(
                f"{manifest.place(record)} has {content!r} in column {column!r}, which is no path. "
                "Give a path relative to the manifest."
            )
        source = _inside(content, base, manifest.place(record))
        relative = os.path.relpath(manifest.path.parent / content, manifest.root)
        return Path(relative).as_posix(), source

    return locate


def _inside(value: str, base: str, place: str) -> FileSource:
    """The file that `value` names. Raises DataError when it lies outside the manifest's folder."""
    try:
        real = os.path.realpath(os.path.join(base, value))
    except (ValueError, OSError) as error:
        raise DataError(
            f"{place} names {value!r}, which is no file name. Correct the row."
        ) from error
    if os.path.commonpath([base, real]) != base:
        raise DataError(
            f"{place} names {value!r}, which lies outside the manifest's folder. "
            "Keep the files beside the manifest and give paths relative to it."
        )
    return FileSource(Path(real))


@dataclass(frozen=True)
class _Splits:
    """The splits that a manifest's own column names, if any of its values is a split's name."""

    names: Mapping[str, str] = field(default_factory=dict)
    said: tuple[str, ...] = ()

    @classmethod
    def of(cls, columns: Columns, records: Sequence[_Record]) -> _Splits:
        if columns.split is None:
            return cls()
        words = {_text(record.split): None for record in records}
        names = {SPLIT_WORDS[word.lower()]: word for word in words if word.lower() in SPLIT_WORDS}
        if not names:
            return cls(said=(f"`{columns.split}` names no split and is not used",))
        return cls(names, (f"`{columns.split}` says which split a row is in",))

    def of_row(self, place: str, record: _Record) -> str | None:
        word = _text(record.split).lower()
        if not self.names or not word:
            return None
        if word not in SPLIT_WORDS:
            raise DataError(
                f"{place} has {record.split!r} as its split, which is none of train, validation "
                "and test. Correct the row."
            )
        return SPLIT_WORDS[word]


def _text(value: Any) -> str:
    """A cell as text, empty where it is."""
    return "" if value is None or value != value else str(value).strip()


def _parquet_records(manifest: _Manifest, schema: Schema) -> tuple[Columns, list[_Record]]:
    path, modality = manifest.path, manifest.modality
    columns = choose_columns(path, parquet.column_names(path), modality, schema)
    read = parquet.texts if modality.inline else parquet.contents
    contents = zip(*(read(path, column) for column in columns.content), strict=True)
    labels, splits, groups = (
        parquet.values(path, column) if column else repeat(None)
        for column in (columns.label, columns.split, columns.group)
    )
    return columns, [
        _Record(f"row {number}", number, *values)
        for number, values in enumerate(zip(contents, labels, splits, groups, strict=False))
    ]


def _text_records(manifest: _Manifest, schema: Schema) -> tuple[Columns, list[_Record]]:
    names, records = read_records(manifest.path)
    columns = choose_columns(manifest.path, names, manifest.modality, schema)
    return columns, [
        _Record(
            f"line {line}",
            line,
            tuple(record.get(column) for column in columns.content),
            record.get(columns.label),
            record.get(columns.split) if columns.split else None,
            record.get(columns.group) if columns.group else None,
        )
        for line, record in records
    ]
