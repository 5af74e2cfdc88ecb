"""What stands in a request's body, as inputs to answer about.

Nothing in it is ever taken for a path: texts are texts, and all else is content.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from headstart.data import Input
from headstart.data.sources import NO_CONTENT, InlineSource, of_texts
from headstart.errors import DataError
from headstart.serve import Predictor
from headstart.server.body import FORM, Body
from headstart.server.refusals import RefusedError

JSON: Final = "application/json"
TABLES: Final = {
    "text/csv": ".csv",
    "application/x-ndjson": ".jsonl",
    "application/jsonl": ".jsonl",
}
KEY: Final = "inputs"  # of the JSON object
_PAIR: Final = 2
_LONGEST: Final = 160  # characters of a file's name
_DATA_URL: Final = re.compile(r"data:[\w.+/;=-]*;base64,", re.ASCII)


def inputs_in(body: Body, predictor: Predictor, most: int) -> list[Input]:
    """The inputs in a body, in its order; one that can't be read has its problem.

    Raises RefusedError: 400 for what is no JSON, 413 for more than so many, 415 for a type that the
    model can't take, and 422 where nothing, or nothing of the kind, is in it.
    """
    inputs = list(islice(_inputs(body, predictor), most + 1))
    if len(inputs) > most:
        raise RefusedError(413, f"The request holds more than {most} items. Send fewer at once.")
    if not inputs:
        raise RefusedError(422, f"The request holds no input. {advice(predictor)}")
    return inputs


def item_noun(predictor: Predictor) -> str:
    """What one item is: a text, a row or a file."""
    modality = predictor.reader.modality
    return "text" if modality.inline else "row" if modality.whole_rows else "file"


def advice(predictor: Predictor) -> str:
    """What to send to a model."""
    return {
        "text": f'Send {JSON} as {{"{KEY}": ["a text", ...]}}, or one as text/plain.',
        "row": f'Send {JSON} as {{"{KEY}": [{{"column": value, ...}}, ...]}}, or text/csv.',
        "file": f'Send the file, a form of files, or {JSON} as {{"{KEY}": ["base64", ...]}}.',
    }[item_noun(predictor)]


def _inputs(body: Body, predictor: Predictor) -> Iterator[Input]:
    what = item_noun(predictor)
    if body.kind == JSON or (body.kind.startswith("application/") and body.kind.endswith("+json")):
        return _of_json(body.content, predictor)
    if body.kind == FORM:
        return _of_form(body, predictor)
    if what == "row" and body.kind in TABLES:
        return _rows(body.content, TABLES[body.kind], predictor)
    if what == "text" and body.kind == "text/plain":
        return iter([_input(body.content, "", predictor)] if body.content else ())
    if what == "file" and not body.kind.startswith(("text/", "multipart/")):
        return iter([_input(body.content, "item 0", predictor)] if body.content else ())
    kind = repr(body.kind[:60]) if body.kind else "no type"
    raise RefusedError(415, f"The body is of {kind}, which holds no {what}. {advice(predictor)}")


def _input(content: bytes, name: str, predictor: Predictor) -> Input:
    """Content as one input; a text without a name is called by itself."""
    title = name or content.decode("utf-8", "replace")
    return Input(title[:_LONGEST] if name else title, InlineSource(content))


def _of_json(content: bytes, predictor: Predictor) -> Iterator[Input]:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise RefusedError(
            400, f"The body is no JSON: {why[:200].rstrip('.')}. {advice(predictor)}"
        ) from None
    if not isinstance(document, dict) or KEY not in document:
        raise RefusedError(
            422, f"The body is no JSON object with the entry {KEY!r}. {advice(predictor)}"
        )
    entries = document[KEY]
    every = entries if isinstance(entries, list) else [entries]
    items = ((f"item {place}", value) for place, value in enumerate(every))
    return (
        _advised(_one(value, place, predictor), place, value, predictor) for place, value in items
    )


def _advised(each: Input, place: str, value: Any, predictor: Predictor) -> Input:
    """An input; one without content says where it has none, and what to send."""
    if each.problem != NO_CONTENT:
        return each
    fields = _columns(predictor) if isinstance(value, dict) else (KEY,)
    where = f"its text is empty, in {', '.join(map(repr, fields or (KEY,)))}"
    return replace(each, name=place, problem=f"{where}. {advice(predictor).rstrip('.')}")


def _columns(predictor: Predictor) -> tuple[str, ...]:
    """The columns that a model's texts stood in when it was made; two where they are pairs."""
    schema = predictor.schema
    return schema.content or (schema.before.content if schema.before else ())


def _one(value: Any, place: str, predictor: Predictor) -> Input:
    """What JSON says of one item."""
    what = item_noun(predictor)
    if what == "file":
        if not isinstance(value, str):
            raise _strange(value, place, predictor)
        return _decoded(value, place)
    if what == "text" and isinstance(value, str):
        return of_texts([value])
    pair = isinstance(value, list) and all(isinstance(part, str) for part in value)
    pair = pair and what == "text" and len(value) == len(_columns(predictor)) == _PAIR
    if not isinstance(value, dict) and not pair:
        raise _strange(value, place, predictor)
    if what == "row":
        value, problem = _with_content(value, predictor)
        if problem:
            return Input(place, None, problem=problem)
    try:
        inputs = list(predictor.inputs([tuple(value) if isinstance(value, list) else value]))
    except DataError as error:
        return Input(place, None, problem=str(error).rstrip("."))
    if len(inputs) != 1:
        raise _strange(value, place, predictor)
    return replace(inputs[0], name=place) if what == "row" else inputs[0]


def _with_content(row: dict[str, Any], predictor: Predictor) -> tuple[dict[str, Any], str]:
    """A row whose cells hold content where they would name files, or the problem of one of them."""
    cells = dict(row)
    for name, modality in predictor.reader.modality.holds().items():
        if not modality.inline and cells.get(name) not in (None, ""):
            content = _content(cells[name]) if isinstance(cells[name], str) else None
            if content is None:
                return cells, f"its {name!r} is not written in base64"
            cells[name] = content
    return cells, ""


def _decoded(text: str, place: str) -> Input:
    content = _content(text)
    if content is None:
        return Input(place, None, problem="it is not written in base64")
    return (
        Input(place, InlineSource(content))
        if content
        else Input(place, None, problem="it is empty")
    )


def _content(text: str) -> bytes | None:
    """What is written as base64, or as a data URL; None where it is neither."""
    start = _DATA_URL.match(text[:200])
    try:
        return base64.b64decode("".join(text[start.end() if start else 0 :].split()), validate=True)
    except (binascii.Error, ValueError):
        return None


def _strange(value: Any, place: str, predictor: Predictor) -> RefusedError:
    kinds: Sequence[tuple[type, str]] = (
        *((bool, "a truth value"), (str, "a text"), (int, "a number"), (float, "a number")),
        *((list, "a list"), (dict, "an object")),
    )
    kind = next((name for kind, name in kinds if isinstance(value, kind)), "null")
    return RefusedError(
        422,
        f"{place.capitalize()} is {kind}, which is no {item_noun(predictor)} of this model. "
        f"{advice(predictor)}",
    )


def _of_form(body: Body, predictor: Predictor) -> Iterator[Input]:
    what = item_noun(predictor)
    for part in body.parts:
        if what == "text":
            yield _input(part.content, part.file or "", predictor)
        elif part.file is None:
            raise RefusedError(
                422, f"The form's part {part.field[:60]!r} is no file. {advice(predictor)}"
            )
        elif what == "row":
            suffix = Path(part.file).suffix.lower()
            yield from _rows(part.content, ".jsonl" if suffix == ".jsonl" else ".csv", predictor)
        else:
            yield _input(part.content, part.file, predictor)


def _rows(content: bytes, suffix: str, predictor: Predictor) -> Iterator[Input]:
    """The rows of a table that was sent as a file."""
    if not content.strip():
        return iter(())
    with TemporaryDirectory(prefix="headstart-") as folder:
        path = Path(folder) / f"table{suffix}"
        path.write_bytes(content)
        try:
            inputs = list(predictor.inputs(path))
        except DataError as error:
            sentence = str(error).replace(f"{folder}/", "")
            raise RefusedError(422, f"The table can't be used: {sentence}") from None
    return (replace(each, name=f"row {number}") for number, each in enumerate(inputs))
