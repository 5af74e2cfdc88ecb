"""Manifests: tables that list items and their labels (CSV, TSV, JSON lines, Parquet)."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.contracts import Modality
from headstart.data import parquet
from headstart.data.sources import FileSource, Found, Item, Source
from headstart.errors import DataError

SUFFIXES = frozenset({".csv", ".tsv", ".jsonl", ".parquet"})
_NO_LABEL, _NO_CONTENT = "the row has no label", "the row names no content"


@dataclass(frozen=True)
class _Row:
    place: str  # `file.csv line 3`, for messages
    id: str  # used where the content has no path of its own
    content: Source | str | None
    label: Any


def find_rows(
    path: Path, root: Path, split: str | None, modality: Modality, label: str | None
) -> Found:
    """The items one manifest lists; rows without label or content are skipped and listed.

    Paths count from the manifest's folder. Raises DataError for a file that can't be read,
    a missing column, a path that leaves the folder, and a label that is neither text nor number.
    """
    rows = _parquet_rows if path.suffix.lower() == ".parquet" else _text_rows
    items: list[Item] = []
    skipped: list[tuple[str, str]] = []
    base = os.path.realpath(path.parent)
    for row in rows(path, root, modality, label):
        name = _label(row)
        if name is None or row.content is None or row.content == "":
            skipped.append((row.id, _NO_LABEL if name is None else _NO_CONTENT))
        elif isinstance(row.content, Source):
            items.append(Item(row.id, name, split, row.content))
        else:
            source = _inside(row.content, base, row.place)
            relative = os.path.relpath(path.parent / row.content, root)
            items.append(Item(Path(relative).as_posix(), name, split, source))
    return Found(root, tuple(items), skipped=tuple(skipped))


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


def _label(row: _Row) -> str | None:
    value = row.label
    if value is None or value != value:  # NaN is how tables say that there is none
        return None
    if isinstance(value, str | int | float):
        return str(value).strip() or None
    raise DataError(
        f"{row.place} has {value!r} as its label, which is neither text nor a number. "
        "Give one label a row."
    )


def choose_columns(
    path: Path, names: Sequence[str], modality: Modality, label: str | None
) -> tuple[str, str]:
    """The content and the label column of a manifest.

    Raises DataError listing the columns there are when either can't be told.
    """
    listed = ", ".join(repr(name) for name in names) or "none"
    lower = {name.lower(): name for name in reversed(names)}
    content = next((lower[name] for name in modality.columns if name in lower), None)
    if content is None:
        wanted = ", ".join(repr(name) for name in modality.columns)
        raise DataError(
            f"{path} has no column for the content; its columns: {listed}. "
            f"Name one of them {wanted}."
        )
    if label is not None and label not in names:
        raise DataError(
            f"{path} has no column {label!r}; its columns: {listed}. Name one of these."
        )
    others = [name for name in names if name != content]
    chosen = label or lower.get("label") or (others[0] if len(others) == 1 else None)
    if chosen is None:
        raise DataError(
            f"{path} has no column 'label'; its columns: {listed}. "
            "Say which one holds the label (--label, or label= from Python)."
        )
    return content, chosen


def _parquet_rows(path: Path, root: Path, modality: Modality, label: str | None) -> Iterator[_Row]:
    content, target = choose_columns(path, parquet.column_names(path), modality, label)
    file = path.relative_to(root).as_posix()
    pairs = zip(parquet.contents(path, content), parquet.labels(path, target), strict=True)
    for number, (source, value) in enumerate(pairs):
        yield _Row(f"{path} row {number}", f"{file}#{number}", source, value)


def _text_rows(path: Path, root: Path, modality: Modality, label: str | None) -> Iterator[_Row]:
    read = _json_records if path.suffix.lower() == ".jsonl" else _csv_records
    names, records = read(path, _text(path))
    content, target = choose_columns(path, names, modality, label)
    file = path.relative_to(root).as_posix()
    for line, record in records:
        value = record.get(content)
        if value is not None and not isinstance(value, str):
            raise DataError(
                f"{path} line {line} has {value!r} in column {content!r}, which is no path. "
                "Give a path relative to the manifest."
            )
        yield _Row(f"{path} line {line}", f"{file}#{line}", value, record.get(target))


_Records = tuple[list[str], list[tuple[int, dict[str, Any]]]]


def _csv_records(path: Path, text: str) -> _Records:
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        names = list(reader.fieldnames or ())
        records = [(reader.line_num, record) for record in reader]
    except csv.Error as error:
        raise DataError(
            f"{path} line {reader.line_num} is not valid {path.suffix[1:].upper()}: {error}. "
            "Correct the line."
        ) from error
    return names, records


def _json_records(path: Path, text: str) -> _Records:
    records: list[tuple[int, dict[str, Any]]] = []
    for line, content in enumerate(text.split("\n"), start=1):
        if not content.strip():
            continue
        try:
            record = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"{path} line {line} is not JSON: {error}. Correct the line."
            ) from error
        if not isinstance(record, dict):
            raise DataError(f"{path} line {line} is not a JSON object. Write one object a line.")
        records.append((line, record))
    names = dict.fromkeys(name for _, record in records for name in record)
    return list(names), records


def _text(path: Path) -> str:
    raw = FileSource(path).read()
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path} line {line} holds a byte that is not UTF-8 (0x{raw[error.start]:02x}). "
            "Save the file as UTF-8."
        ) from error
