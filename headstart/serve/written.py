"""Answers as a table in a file: CSV, Parquet or JSON lines, written as they come."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from headstart.contracts.several import EACH
from headstart.errors import DataError, HeadstartError
from headstart.features.export import demand_free, whole
from headstart.report.notebook import Printed

if TYPE_CHECKING:
    from headstart.serve.predictions import Prediction

_FIRST = 1  # number of the first id: evaluators pass over an annotation that is number 0
SUFFIXES = (".csv", ".parquet", ".jsonl", ".json")
_CHUNK = 4096  # rows in memory at a time
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet runs, as a cell's first sign
_KEPT = 20  # failures that are named
_ANSWERS = ("label", "labels", "value")
_TAKEN = ("path", "id", "error")  # columns of every table of answers
_SINGULAR = {"probabilities": "probability", "values": "value"}

Row = dict[str, Any]


@final
@dataclass(repr=False)
class Written(Printed):
    """A file of answers: about how many inputs, and those that have an error instead."""

    path: Path
    items: int = 0
    failures: int = 0
    failed: list[Mapping[str, Any]] = field(default_factory=list)  # the first of them

    def to_json(self) -> dict[str, Any]:
        """{"out", "items", "failures", "failed": [{"path", "error"}]}."""
        return {
            "out": str(self.path),
            "items": self.items,
            "failures": self.failures,
            "failed": list(self.failed),
        }

    def __str__(self) -> str:
        answered = self.items - self.failures
        lines = [f"{answered} of {self.items} inputs are answered in {self.path}."]
        lines += [f"{each['path']}: no answer: {each['error']}" for each in self.failed]
        more = self.failures - len(self.failed)
        return "\n".join([*lines, *([f"… and {more} more without one."] if more else [])])


def is_table(path: str) -> bool:
    """Whether a file of this name would be a table of answers."""
    return Path(path).suffix.lower() in SUFFIXES


def destination(path: Path) -> Path:
    """The place to write to. Raises HeadstartError where it is taken, or its suffix not known."""
    return demand_free(path, [path], SUFFIXES, "answers")


def write(path: Path, predictions: Iterable[Prediction]) -> Written:
    """Write one row an input: whole, or not at all.

    Columns: path, id (what a table called the row), what the task answers (`label`, `probability`
    and `probability_LABEL` for classes; `value` or `value_NAME`; `labels`, a list as JSON, for
    label sets), `familiarity`, `set` or `range` where the model keeps held-out items, `abstained`
    where that was asked for, error; `size` and `boxes` for boxes, which `.json` holds as COCO has
    them. In CSV a cell of text that a spreadsheet would run as a formula
    gets an apostrophe in front, unless it is a number.
    """
    summary = Written(path)
    with whole([path]) as (draft,):
        sample, rows = _sampled(_rows(predictions, summary))
        if not summary.items:
            raise DataError("No input was given to predict on. Name files, folders or texts.")
        ROW_WRITERS[path.suffix.lower()](draft, sample, rows)
    return summary


def table_rows(predictions: Iterable[Prediction]) -> list[Row]:
    """The rows that `write` writes; those without an answer have fewer columns."""
    return list(_rows(predictions, Written(Path())))


def _rows(predictions: Iterable[Prediction], summary: Written) -> Iterator[Row]:
    for each in predictions:
        summary.items += 1
        if each.error:
            summary.failures += 1
            if len(summary.failed) < _KEPT:
                summary.failed.append(each.to_json())
        names = {"path": _unicode(each.path), "id": _unicode(each.id) or None}
        yield names | _flat(each.content()) | {"error": each.error or None}


def _unicode(name: str) -> str:
    """The same, but for bytes of a file's name that are no text."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def _flat(answer: Mapping[str, Any]) -> Row:
    """An answer's values by column: those of a mapping each in one of its own.

    Of several tasks the answer itself is called as the task, and what is said of it begins so.
    """
    row: Row = {}
    for task, own in answer.get(EACH, {}).items():
        plain = _flat(own)
        has_prefix = task not in _TAKEN
        row |= {
            task if has_prefix and n in _ANSWERS else f"{task}_{n}": v for n, v in plain.items()
        }
    for name, value in answer.items() if EACH not in answer else ():
        if isinstance(value, Mapping):
            row |= {f"{_SINGULAR.get(name, name)}_{key}": each for key, each in value.items()}
        else:
            row[name] = value
    return row


def _sampled(rows: Iterator[Row]) -> tuple[Row, Iterator[Row]]:
    """The first row with an answer, which has all columns, and all rows, none of them lost."""
    before: list[Row] = []
    for row in rows:
        before.append(row)
        if row["error"] is None and not row.get("abstained"):
            break
    sample = before[-1] if before else dict.fromkeys(("path", "id", "error"))
    return sample, chain(before, rows)


def _csv(draft: Path, sample: Row, rows: Iterator[Row]) -> None:
    with draft.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(map(harmless, sample))
        for row in rows:
            writer.writerow([harmless(_plain(row.get(name))) for name in sample])


def _jsonl(draft: Path, sample: Row, rows: Iterator[Row]) -> None:
    with draft.open("w", encoding="utf-8") as file:
        for row in rows:
            cells = {name: row.get(name) for name in sample}
            file.write(json.dumps(cells, ensure_ascii=False, allow_nan=False) + "\n")


def _json(draft: Path, sample: Row, rows: Iterator[Row]) -> None:
    write_coco(draft, rows)


def _parquet(draft: Path, sample: Row, rows: Iterator[Row]) -> None:
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    schema = pa.schema([(name, _kind(name, value)) for name, value in sample.items()])
    with ParquetWriter(str(draft), schema) as writer:
        while chunk := list(islice(rows, _CHUNK)):
            columns = {name: [row.get(name) for row in chunk] for name in sample}
            writer.write_table(pa.table(columns, schema=schema))


def _kind(name: str, value: Any) -> Any:
    """Arrow's type for a column that holds such a value."""
    import pyarrow as pa

    if value is None:
        return pa.string()
    if name == "boxes":  # of which the first picture may have none
        corners = pa.list_(pa.float64())
        fields = [("label", pa.string()), ("score", pa.float64()), ("box", corners)]
        return pa.list_(pa.struct(fields))
    return pa.list_(pa.string()) if value == [] else pa.infer_type([value])


def _plain(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list) else value


def harmless(value: Any) -> Any:
    """A cell of text that a spreadsheet would run as a formula, with an apostrophe in front."""
    if not isinstance(value, str) or not value.startswith(_FORMULA):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value


ROW_WRITERS: Mapping[str, Callable[[Path, Row, Iterator[Row]], None]] = dict(
    zip(SUFFIXES, (_csv, _parquet, _jsonl, _json), strict=True)
)


def write_coco(draft: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows of answers. Raises HeadstartError where they hold no boxes."""
    images: list[dict[str, Any]] = []
    boxes: list[tuple[int, Mapping[str, Any]]] = []
    for row in rows:
        if row.get("error"):
            continue
        if "boxes" not in row:
            raise HeadstartError(
                "A .json file holds boxes as COCO has them, and the model answers with none. "
                "Name a file that ends in .jsonl, .csv or .parquet."
            )
        number = len(images) + _FIRST
        width, height = row["size"]
        images.append({"id": number, "file_name": row["path"], "width": width, "height": height})
        boxes += [(number, box) for box in row["boxes"]]
    names = sorted({str(box["label"]) for _, box in boxes})
    ids = {name: number for number, name in enumerate(names, start=_FIRST)}
    document = {
        "images": images,
        "categories": [{"id": number, "name": name} for name, number in ids.items()],
        "annotations": [
            _annotation(place, image, ids[str(box["label"])], box)
            for place, (image, box) in enumerate(boxes, start=_FIRST)
        ],
    }
    draft.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")


def _annotation(number: int, image: int, category: int, box: Mapping[str, Any]) -> dict[str, Any]:
    left, top, right, bottom = box["box"]
    width, height = round(right - left, 2), round(bottom - top, 2)
    return {
        "id": number,
        "image_id": image,
        "category_id": category,
        "bbox": [left, top, width, height],
        "area": round(width * height, 2),
        "iscrowd": 0,
        "score": box["score"],
    }
