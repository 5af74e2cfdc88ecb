"""Tables of text (CSV, TSV, JSON lines): decoded, and cut into records that know their line."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from headstart.data.sources import FileSource
from headstart.encodings import NotTextError, decoded
from headstart.errors import DataError

Records = tuple[list[str], list[tuple[int, dict[str, Any]]]]  # columns; (line, values) each
_LONGEST = 2**31 - 1  # characters of a field; csv's own limit is less than a long text


def read_records(path: Path) -> Records:
    """A table's columns and records. Raises DataError naming the line that can't be read."""
    if path.suffix.lower() == ".jsonl":
        return _json_records(path, _text(path))
    return _csv_records(path, _text(path))


def _csv_records(path: Path, text: str) -> Records:
    tabs = path.suffix.lower() == ".tsv"
    try:
        return _cut(path, text, "\t" if tabs else ",", quotes=True)
    except DataError:
        if not tabs:
            raise
    return _cut(path, text, "\t", quotes=False)  # quotation marks that quote no field


def _cut(path: Path, text: str, delimiter: str, quotes: bool) -> Records:
    lines = io.StringIO(text, newline="")
    with _long_fields():
        reader = csv.reader(
            lines,
            delimiter=delimiter,
            strict=True,
            quoting=csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE,
        )
        try:
            names = next(reader, [])
            rows = [(reader.line_num, fields) for fields in reader if fields]
        except csv.Error as error:
            raise DataError(
                f"{path} line {reader.line_num} is not valid {path.suffix[1:].upper()}: {error}. "
                "Correct the line."
            ) from error
    for line, fields in rows:
        if names and any(fields[len(names) :]):
            raise DataError(
                f"{path} line {line} has {len(fields)} fields under {len(names)} columns. "
                "Put quotation marks around a field that holds the delimiter."
            )
    return names, [(line, dict(zip(names, fields, strict=False))) for line, fields in rows]


def _json_records(path: Path, text: str) -> Records:
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
    """A file's text: UTF-8 with or without a byte order mark, or UTF-16 with one."""
    raw = FileSource(path).read()
    try:
        return decoded(raw)
    except NotTextError as error:
        raise DataError(
            f"{path} line {error.line} holds a byte that is not {error.encoding} "
            f"(0x{error.byte:02x} at byte offset {error.offset}). Save the file as UTF-8."
        ) from error


@contextmanager
def _long_fields() -> Iterator[None]:
    before = csv.field_size_limit(_LONGEST)
    try:
        yield
    finally:
        csv.field_size_limit(before)
