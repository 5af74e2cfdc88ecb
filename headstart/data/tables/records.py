"""Tables in JSON: one object a line, or a document of records or of columns as pandas writes it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from headstart.data.tables.interface import TableInMemory, column_names
from headstart.data.tables.text import opened, sample
from headstart.errors import DataError

LINES = frozenset({".jsonl", ".ndjson"})
_Record = Mapping[str, Any]


def read(path: Path) -> list[TableInMemory]:
    """The table. Raises DataError naming the line that can't be read, and for nested records."""
    if _is_lines(path, *sample(path)):
        return [_table(path, list(_of_lines(path)))]
    with opened(path) as file:
        try:
            document = json.load(file, object_pairs_hook=_object(path))
        except (json.JSONDecodeError, RecursionError) as error:
            line = f" line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
            raise DataError(f"{path}{line} is not JSON: {error}. Correct the file.") from error
    records = _of_document(document)
    if records is None or not all(isinstance(record, dict) for record in records):
        raise DataError(
            f"{path} holds no list of records. Write a list of flat objects, one for each item, "
            'such as [{"text": "…", "label": "…"}].'
        )
    for record in records:
        for name, value in record.items():
            if isinstance(value, list) and any(isinstance(each, dict) for each in value):
                raise DataError(
                    f"{path} holds records within records, in {name!r}. Write a list of flat "
                    "objects, one for each item."
                )
    return [_table(path, list(enumerate(records, start=1)), noun="record")]


def _is_lines(path: Path, start: str, cut: bool) -> bool:
    """Whether each line is an object of its own, whatever the file is called."""
    lines = [line for line in start.split("\n", 1_000) if line.strip()]
    if not lines or lines[0].lstrip()[:1] == "[":
        return bool(lines) and path.suffix.lower() in LINES and len(lines) > 1 and _is(lines[0])
    return path.suffix.lower() in LINES or ((len(lines) > 1 or cut) and _is(lines[0]))


def _is(line: str) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _of_lines(path: Path) -> Iterator[tuple[int, _Record]]:
    hook = _object(path)
    with opened(path, newline="\n") as file:
        for line, content in enumerate(file, start=1):
            if not content.strip():
                continue
            try:
                record = json.loads(content, object_pairs_hook=hook)
            except (ValueError, RecursionError) as error:
                raise DataError(
                    f"{path} line {line} is not JSON: {error}. Correct the line."
                ) from error
            if not isinstance(record, dict):
                raise DataError(
                    f"{path} line {line} is not a JSON object. Write one object a line."
                )
            yield line, record


def _of_document(document: Any) -> Sequence[_Record] | None:
    """The records of a document: a list of them, or what pandas writes by each of its `orient`s."""
    if isinstance(document, list):
        return document
    if not isinstance(document, dict) or not document:
        return None
    if {"images", "annotations", "categories"} <= document.keys():
        return _of_pictures(document)
    columns, rows = document.get("columns"), document.get("data")
    if isinstance(columns, list) and isinstance(rows, list):
        return [dict(zip(columns, row, strict=False)) for row in rows]
    values = list(document.values())
    if all(isinstance(value, dict) for value in values):
        by_number = all(key.isdecimal() for value in values for key in value)
        if not by_number:
            return values if all(key.isdecimal() for key in document) else None
        places = dict.fromkeys(key for value in values for key in value)
        return [{name: own.get(at) for name, own in document.items()} for at in places]
    lists = [value for value in values if isinstance(value, list)]
    if len(lists) == len(values) and len({len(value) for value in lists}) == 1:
        if not all(isinstance(each, dict) for value in lists for each in value):
            return [dict(zip(document, row, strict=True)) for row in zip(*lists, strict=True)]
    return lists[0] if len(lists) == 1 else None


def _of_pictures(document: _Record) -> Sequence[_Record] | None:
    """A record for each label of a whole picture, as iNaturalist writes them in COCO's form."""
    lists = [document[name] for name in ("images", "annotations", "categories")]
    if not all(isinstance(each, list) and all(isinstance(e, dict) for e in each) for each in lists):
        return None
    images, annotations, categories = lists
    files = {str(each.get("id")): each.get("file_name") for each in images}
    names = {str(each.get("id")): each.get("name") for each in categories}
    return [
        {
            "file_name": files.get(str(each.get("image_id"))),
            "label": names.get(str(each.get("category_id"))),
        }
        for each in annotations
    ]


def _table(path: Path, records: Sequence[tuple[int, _Record]], noun: str = "line") -> TableInMemory:
    keys = dict.fromkeys(name for _, record in records for name in record)
    rows = [(number, [record.get(key) for key in keys]) for number, record in records]
    return TableInMemory(path, column_names(path, list(keys)), rows, noun)


def _object(path: Path) -> Callable[[list[tuple[str, Any]]], dict[str, Any]]:
    """What makes an object of its pairs. Raises DataError where it has one name twice."""

    def record_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        record = dict(pairs)
        if len(record) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise DataError(
                f"{path} has an object with two values called {twice!r}. Rename or remove one."
            )
        return record

    return record_of
