"""A saved model's stream of inputs, watched for drift."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from headstart.data import Input
from headstart.data import tables as kept_tables
from headstart.drift import FIT_AGAIN, NO_REFERENCE
from headstart.drift.shift import FEWEST
from headstart.drift.watching import STEP, Event, Watch
from headstart.errors import DataError, HeadstartError
from headstart.pipeline.opening import load
from headstart.results.watched import Watched, line
from headstart.runtime.progress import Progress, Show, as_progress
from headstart.serve import Predictor


@dataclass(frozen=True)
class Columns:
    """The columns of a stream that is a table: `time` orders its rows, `label` tells the truth."""

    time: str | None = None
    label: str | None = None


def watch(
    model: str | Path,
    stream: Any,
    *,
    time: str | None = None,
    label: str | None = None,
    progress: Show = None,
) -> Watched:
    """Watch what a saved model is asked about, and say when it is not as it was, and what moved.

    `stream` is anything that `predict` takes, in the order in which it came: a folder by names, an
    iterator that may go on for long, whose alarms are told as they come; or a table, whose rows
    `time` orders, and in which `label` says what was right where that is known by now. False alarms
    are held to 5 % of streams of 2,000 items. Raises HeadstartError for anything the user can mend.
    """
    return watched(load(model), stream, Columns(time, label), as_progress(progress))


def watched(predictor: Predictor, stream: Any, columns: Columns, progress: Progress) -> Watched:
    """The same for a model that was opened before."""
    reference = predictor.reference
    if reference is None:
        raise HeadstartError(f"{NO_REFERENCE}, so that a stream has no yardstick. {FIT_AGAIN}")
    if len(reference) < FEWEST:
        raise HeadstartError(
            f"The model keeps {len(reference)} held-out items, too few to see drift against. "
            f"Fit it again with {FEWEST} or more held out."
        )
    labelled = columns.label is not None
    if labelled and not reference.labelled:
        raise HeadstartError(
            "The model was adapted to items without labels, so that no errors on them are known to "
            "compare with. Leave out --label."
        )
    if labelled and reference.targets.ndim != 1:
        raise HeadstartError(
            f"The model answers with {predictor.task.kind}, whose errors are not watched. "
            "Leave out --label."
        )
    predictions = predictor.task.predictions(reference.outputs)
    watcher = Watch(reference, predictions, predictor.labels, labelled)
    events, unread = _events(predictor, watcher, _inputs(predictor, stream, columns), progress)
    if not watcher.count:
        raise DataError("No item that can be read was given. Name a folder, a table, or texts.")
    return Watched(events, watcher.count, unread)


def _events(
    predictor: Predictor,
    watcher: Watch,
    inputs: Iterable[tuple[Input, str | None]],
    progress: Progress,
) -> tuple[list[Event], int]:
    events: list[Event] = []
    unread, each = 0, _until_stopped(inputs, progress)
    while window := list(islice(each, STEP)):
        sound = [(item, truth) for item, truth in window if not predictor.problem(item)]
        unread += len(window) - len(sound)
        if not sound:
            continue
        features = predictor.features([item.item for item, _ in sound])
        outputs = predictor.headed(features)
        rows = features, outputs, predictor.task.predictions(outputs)
        right = _right(predictor.labels, outputs, [truth for _, truth in sound])
        for event in watcher.add([item.id or item.name for item, _ in sound], rows, right):
            progress.say(line(event))
            events.append(event)
    return events, unread


def _until_stopped(
    inputs: Iterable[tuple[Input, str | None]], progress: Progress
) -> Iterator[tuple[Input, str | None]]:
    """The inputs until they end, or the user has seen enough."""
    try:
        yield from inputs
    except KeyboardInterrupt:
        progress.say("Stopped. What was seen till then follows.")


def _right(labels: Sequence[str], outputs: np.ndarray, truths: Sequence[str | None]) -> np.ndarray:
    """Which answers were right, (M,) of 1 and 0, NaN where that isn't known."""
    answers = [labels[place] for place in outputs.argmax(axis=1).tolist()]
    pairs = zip(answers, truths, strict=True)
    return np.array([np.nan if truth is None else float(own == truth) for own, truth in pairs])


def _inputs(
    predictor: Predictor, stream: Any, columns: Columns
) -> Iterator[tuple[Input, str | None]]:
    """Inputs in the order of their time, each with the label that is known."""
    if columns == Columns():
        for each in predictor.inputs(stream):
            yield each, None
        return
    path = Path(stream) if isinstance(stream, str | Path) else None
    if path is None or not path.is_file() or path.suffix.lower() not in kept_tables.READ:
        raise DataError(
            f"{str(stream)[:60]} is no table, so that it has no columns. "
            "Give a CSV or Parquet file, or leave out the columns."
        )
    table, inputs = kept_tables.read(path)[0], list(predictor.inputs(path))
    times = _values(table, columns.time, path, len(inputs))
    truths = _values(table, columns.label, path, len(inputs))
    labels = set(predictor.labels)
    strange = next((truth for truth in truths if truth and truth not in labels), None)
    if strange is not None:
        raise DataError(
            f"{path} says {strange!r} in column {columns.label}, which the model does not know. "
            "Correct it, or name another column."
        )
    moments = _moments(times, path, columns.time)
    order = sorted(range(len(inputs)), key=lambda place: moments[place])
    for place in order:
        yield inputs[place], truths[place] or None


def _values(table: Any, column: str | None, path: Path, count: int) -> list[str]:
    """A column's cells as text, empty where there is no such column or no value."""
    if column is None:
        return [""] * count
    if column not in table.names:
        raise DataError(
            f"{path} has no column {column!r}. Name one of: {', '.join(map(str, table.names))}."
        )
    cells = ["" if value is None else str(value).strip() for value in table.values(column)]
    if len(cells) != count:
        raise DataError(
            f"{path} has {len(cells)} rows and {count} items, which don't go together. "
            "Give a table with one item a row."
        )
    return cells


def _moments(times: Sequence[str], path: Path, column: str | None) -> list[float]:
    """What rows are ordered by: all numbers, or all dates as ISO 8601 has them; their order if not.

    Raises DataError where a cell is neither, or there are both.
    """
    if column is None:
        return [0.0] * len(times)
    for read in (_number, _date):
        moments = [read(text) for text in times]
        numbers = [moment for moment in moments if moment is not None]
        if len(numbers) == len(times):
            return numbers
    strange = next((t for t in times if _number(t) is None and _date(t) is None), times[0])
    raise DataError(
        f"{path} says {strange!r} in column {column}, which orders no rows beside the others. "
        "Give numbers alone, or dates alone as in 2024-01-31 or 2024-01-31T09:30."
    )


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if isfinite(number) else None


def _date(text: str) -> float | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
