"""Manifests: tables that list items and their labels in text, JSON, Parquet, Arrow or Excel."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import repeat
from pathlib import Path
from typing import Any

from headstart.contracts import Modality
from headstart.data import tables
from headstart.data.paths import Paths, file_source
from headstart.data.schema import GUESSED, Columns, Schema, choose_columns, holds_content
from headstart.data.sources import (
    SPLIT_WORDS,
    Found,
    InlineSource,
    Row,
    Source,
    text_content,
)
from headstart.data.tables.interface import ItemTable
from headstart.errors import DataError

SUFFIXES = tables.SUFFIXES
SAMPLE = 100  # rows that are looked at to tell which column names files
_NO_CONTENT, _NO_SPLIT = "the row names no content", "the row names no split"


@dataclass(frozen=True)
class Record:
    """One row of a table: its number, and what stands in the columns that are read."""

    place: str  # `line 3` or `row 3`
    number: int
    content: tuple[Any, ...]
    label: Any
    split: Any
    group: Any = None


Located = tuple[str, Source | None, str]  # an item's id, where to read it, or why there is none
Locate = Callable[[Record, str | None], Located]  # a row of a split, if it is of one


@dataclass(frozen=True)
class _Manifest:
    """A manifest, and its name in the data set."""

    path: Path
    paths: Paths
    name: str
    modality: Modality
    split: str | None = None

    def place(self, record: Record) -> str:
        return f"{self.path} {record.place}"

    def id(self, record: Record) -> str:
        return f"{self.name}#{record.number}"


def find_rows(
    path: Path, paths: Paths, split: str | None, modality: Modality, schema: Schema
) -> Found:
    """What one manifest lists; a row without content has no source.

    Paths count from the manifest's folder. Where the file is of no `split`, a column of that name
    says it. Raises DataError for a file that can't be read, a missing column, a path that leaves
    the data set's folder, and a split that is none.
    """
    name = Path(os.path.abspath(path)).relative_to(paths.root).as_posix()
    manifest = _Manifest(path, paths, name, modality, split)
    table, columns = _with_columns(manifest, schema)
    read = table.texts if modality.inline else table.contents
    contents = zip(*(read(column) for column in columns.content), strict=True)
    records = records_of(table, columns, contents)
    locate = _inline(manifest, columns) if modality.inline else _listed(manifest, columns, records)
    found = Listing(path, paths.root, columns, records, locate, split).found()
    return replace(found, said=(*found.said, *paths.said()))


@dataclass(frozen=True)
class Listing:
    """The rows of a table that lists items, and how each row's content is located.

    `split` is what all of them are of, where a column doesn't say it.
    """

    path: Path
    root: Path
    columns: Columns
    records: Sequence[Record]
    locate: Locate
    split: str | None = None

    def found(self) -> Found:
        """What it lists. Raises DataError for a split that is none."""
        columns = self.columns
        splits = _Splits.of(columns, self.records) if self.split is None else _Splits()
        rows = []
        for record in self.records:
            place = f"{self.path} {record.place}"
            own = self.split or splits.of_row(place, record)
            name, source, missing = self.locate(record, own)
            if splits.names and own is None:
                missing = _NO_SPLIT if source else missing
                source = None
            missing = "" if source else missing
            rows.append(Row(name, place, record.label, own, source, missing, _text(record.group)))
        return Found(
            *(self.root, tuple(rows)),
            column=columns.label,
            split_names=splits.names,
            said=(*((columns.said,) if columns.said else ()), *splits.said),
            columns=columns.labels,
            content=columns.content,
        )


def _inline(manifest: _Manifest, columns: Columns) -> Locate:
    """The texts in the record's columns, as UTF-8; those that aren't Unicode fail their check."""

    def locate(record: Record, _: str | None) -> Located:
        for column, value in zip(columns.content, record.content, strict=True):
            if not isinstance(value, str | None):
                raise DataError(
                    f"{manifest.place(record)} has {value!r} in column {column!r}, which is no "
                    "text. Give text, or name another column."
                )
        parts = [value or "" for value in record.content]
        source = InlineSource(text_content(parts)) if any(parts) else None
        return manifest.id(record), source, _NO_CONTENT

    return locate


def _listed(manifest: _Manifest, columns: Columns, records: Sequence[Record]) -> Locate:
    """The file that the record names, or the bytes that it holds."""
    base, paths = manifest.path.parent, manifest.paths
    (column,) = columns.content
    named = (record.content[0] for record in records[:SAMPLE])
    values = [value for value in named if isinstance(value, str) and value.strip()]
    first = paths.elsewhere(values, base, manifest.split)

    def locate(record: Record, split: str | None) -> Located:
        (content,) = record.content
        if content is None or content == "" or isinstance(content, Source):
            return manifest.id(record), content or None, _NO_CONTENT
        if not isinstance(content, str):
            raise DataError(
                f"{manifest.place(record)} has {content!r} in column {column!r}, which is no path. "
                "Give a path relative to the manifest."
            )
        place = manifest.place(record)
        name, file = paths.find(content, base, place, split, first)
        return name, *file_source(file)

    return locate


@dataclass(frozen=True)
class _Splits:
    """The splits that a manifest's own column names, if any of its values is a split's name."""

    names: Mapping[str, str] = field(default_factory=dict)
    said: tuple[str, ...] = ()

    @classmethod
    def of(cls, columns: Columns, records: Sequence[Record]) -> _Splits:
        if columns.split is None:
            return cls()
        words = {_text(record.split): None for record in records}
        names = {SPLIT_WORDS[word.lower()]: word for word in words if word.lower() in SPLIT_WORDS}
        if not names:
            return cls(said=(f"`{columns.split}` names no split and is not used",))
        return cls(names, (f"`{columns.split}` says which split a row is in",))

    def of_row(self, place: str, record: Record) -> str | None:
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


def records_of(
    table: ItemTable, columns: Columns, contents: Iterable[tuple[Any, ...]]
) -> list[Record]:
    """The rows of a table, with what is to locate the content of each."""
    labels: Iterable[Any] = zip(*map(table.values, columns.labels), strict=True)
    if len(columns.labels) < 2:
        labels = table.values(columns.label) if columns.label else repeat(None)
    splits, groups = (
        table.values(column) if column else repeat(None)
        for column in (columns.split, columns.group)
    )
    return [
        Record(f"{table.noun} {number}", number, *values)
        for number, *values in zip(table.numbers(), contents, labels, splits, groups, strict=False)
    ]


def _with_columns(manifest: _Manifest, schema: Schema) -> tuple[ItemTable, Columns]:
    """The first table in the file that has the columns, such as of a workbook's, and them."""
    errors: list[DataError] = []
    for table in tables.read(manifest.path):
        try:
            own = _with_files(manifest, table, schema)
            return table, choose_columns(table, manifest.modality, own)
        except DataError as error:
            errors.append(error)
    raise errors[0]


def _with_files(manifest: _Manifest, table: ItemTable, schema: Schema) -> Schema:
    """The schema with the column that names files here, unless the user or its name says it."""
    known, before = manifest.modality.columns, schema.before
    if manifest.modality.inline or schema.files or schema.content:
        return schema
    if before and before.content and set(before.content) <= set(table.names):
        return schema
    asked = (*(schema.label or "").split(","), schema.label, schema.group)
    passed = ("label", "labels", "split")
    free = [n for n in table.names if n not in asked and n.lower() not in passed]
    rows = table.first_rows(SAMPLE)
    name = manifest.paths.column(free, known, rows, manifest.path.parent, manifest.split)
    return replace(schema, files=name) if name else schema


def lists_files(path: Path, paths: Paths, split: str | None, modality: Modality) -> bool:
    """Whether a table has a column that names files there are, or holds their bytes."""
    manifest = _Manifest(path, paths, "", modality, split)
    return any(
        any(map(table.holds_bytes, table.names))
        or _with_files(manifest, table, GUESSED).files is not None
        for table in tables.read(path)
    )


def files_column(path: Path, paths: Paths, modality: Modality, schema: Schema) -> str | None:
    """The column of a file's first table that is named as one of paths, or whose values are."""
    manifest = _Manifest(path, paths, "", modality)
    return _with_files(manifest, tables.read(path)[0], schema).files


def has_content(path: Path, modality: Modality, schema: Schema) -> bool:
    """Whether a column of the file's tables holds content: none does where it has labels alone."""
    return any(holds_content(table, modality, schema) for table in tables.read(path))
