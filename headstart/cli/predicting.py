"""What the arguments of `predict` mean: files, folders, manifests, texts, or lines to be read."""

from __future__ import annotations

import csv
import glob
import io
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from headstart.contracts import Modality
from headstart.data import Input
from headstart.data.containers import packed
from headstart.data.remote import address
from headstart.data.tables import READ, SUFFIXES
from headstart.data.tables.delimited import dialect_of, long_fields
from headstart.errors import HeadstartError
from headstart.runtime.progress import Progress
from headstart.serve import Predictor
from headstart.serve.written import SUFFIXES as WRITTEN
from headstart.serve.written import destination, is_table

_WORTH_A_LINE = 50  # answers
_MANY = 0.05  # of the rows
_COLUMNS = 5  # in a line
_LINES = "-"  # standard input, one text or path a line
_AS_A_PATH = re.compile(r"(\.{0,2}|~|[A-Za-z]:)[/\\]")  # how a path begins that says it is one


def arguments(texts: Sequence[str], files: Sequence[str], modality: Modality) -> Iterator[Any]:
    """Texts as strings and all else as paths, in that order, those of `files` last.

    Where texts are wanted an argument is a text, unless it is a single word that ends like a file
    of text or a manifest, or is written as a path (it begins with / or ./ or ends with /) and
    something is there, or names a file of texts behind their classes. A pattern that the shell left
    stands for the files that match it.
    """
    for argument in texts:
        if argument == _LINES:
            yield from _lines(modality)
        elif modality.inline and not _is_path(argument, modality):
            yield argument
        else:
            yield from _expanded(argument)
    yield from map(_path, files)


def _lines(modality: Modality) -> Iterator[Any]:
    """A text or a path a line; where rows are wanted a table below its header, or JSON a line."""
    if modality.whole_rows:
        yield from _rows(io.TextIOWrapper(sys.stdin.buffer, "utf-8-sig", "replace", newline=""))
        return
    for line in sys.stdin.buffer:
        content = line.rstrip(b"\r\n")
        yield content if modality.inline else os.fsdecode(content)


def _rows(lines: Iterable[str]) -> Iterator[Mapping[str, Any] | Path]:
    whole = (line for line in lines if line.strip())
    first = next(whole, "")
    every = chain([first] if first else [], whole)
    if first.lstrip().startswith("{"):
        yield from map(_object, every)
        return
    if os.path.splitext(first.strip())[1].lower() in READ:  # a table's name a line
        yield from (Path(line.strip()) for line in every)
        return
    sign = dialect_of(first, cut=False).delimiter
    with long_fields():
        yield from csv.DictReader(every, delimiter=sign, restkey="", skipinitialspace=True)


def _object(line: str) -> Any:
    try:
        row = json.loads(line)
    except ValueError:
        row = None
    return row if isinstance(row, dict) else Input(line.strip(), None, problem="it is no JSON row")


def _is_path(argument: str, modality: Modality) -> bool:
    suffix = os.path.splitext(argument)[1].lower()
    if suffix in modality.suffixes | SUFFIXES and not set(argument) & set(" \t\n"):
        return True
    is_path = _AS_A_PATH.match(argument) or argument.endswith(("/", os.sep))
    try:
        here = os.path.exists(argument)
        return here and (bool(is_path) or bool(argument and packed(Path(argument), modality)))
    except ValueError:  # a zero byte
        return False


def _path(name: str) -> Path | Input:
    if not name:  # which pathlib takes for the folder one is in
        return Input("''", None, problem="An empty argument names no file. Name one")
    return Path(name)


def _expanded(argument: str) -> Iterator[Path | Input]:
    if address(argument) or os.path.lexists(argument) or not glob.has_magic(argument):
        yield _path(argument)
        return
    matches = sorted(glob.glob(argument, recursive=True))
    if not matches:
        yield Input(argument, None, problem="it matches no file. Check the pattern")
    yield from map(Path, matches)


def windows(
    events: bool, lengths: Mapping[str, float | None], other: object
) -> dict[str, float] | None:
    """How recordings are looked at; None where no events are wanted.

    Raises HeadstartError for flags of which one says nothing without, or beside, the other.
    """
    own = {name: value for name, value in lengths.items() if value is not None}
    if not events:
        if own:
            raise HeadstartError(f"--{next(iter(own))} is about windows. Add --events.")
        return None
    if other:
        raise HeadstartError(
            "--events is about parts of recordings, and --explain and --draw about whole items. "
            "Leave one of them out."
        )
    from headstart.serve.windowing import Windowing

    Windowing(**own)
    return own


def demand_place(out: str | None, explain: bool, abstain: bool, events: bool = False) -> None:
    """Raise HeadstartError for a file of answers, or folder of heat maps, that can't be written.

    And for flags of which one gives no answer where the other explains it.
    """
    if explain and abstain:
        raise HeadstartError(
            "--explain says why an answer was given, and --abstain may give none. "
            "Leave one of them out."
        )
    if events:
        from headstart.serve import events as found

        if out is not None:
            found.destination(Path(out))
        return
    if out is not None and explain and is_table(out):
        raise HeadstartError(
            f"{out} would be a table, and --explain draws heat maps. Name a folder for --out."
        )
    if out is not None and not explain and not is_table(out):
        raise HeadstartError(
            f"{out} is of no kind that answers are written in. Name a file that ends in "
            f"{', '.join(WRITTEN)}; a folder is for the heat maps of --explain."
        )
    if out is not None and not explain:
        destination(Path(out))


def notice(predictor: Predictor, model: str, inputs: Sequence[str], progress: Progress) -> None:
    """Say so where what was answered is not like what the model was held to."""
    line = _outside(predictor.outside)
    if line:
        progress.warn(line)
    if len(predictor.recent) < _WORTH_A_LINE:  # before what it takes is imported
        return
    from headstart.drift.words import command
    from headstart.serve.noticing import noticed

    line = noticed(predictor)
    if line:
        place = inputs[0] if len(inputs) == 1 else _LINES
        more = "" if place == _LINES else f" More: {command('shift', model, place)}"
        progress.warn(f"{line}{more}")


def _outside(rows: Collection[Mapping[str, str]]) -> str:
    """A line on the columns of which many values lie outside what was learned from, if any."""
    counts = Counter(each for row in rows for each in row.items())
    columns = [
        f"`{name}` in {count} of {len(rows)} rows (it held {seen})"
        for (name, seen), count in counts.most_common(_COLUMNS)
        if count >= _MANY * len(rows)
    ]
    if not columns:
        return ""
    return (
        f"Outside what was learned from: {'; '.join(columns)}. Check units and how numbers are "
        "written; there answers are guesses."
    )
