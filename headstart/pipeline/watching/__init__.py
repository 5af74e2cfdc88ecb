"""A saved model's stream of inputs or answers, watched for drift."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, final

import numpy as np

from headstart.data import Input
from headstart.drift import FIT_AGAIN, NO_REFERENCE, Reference
from headstart.drift.shift import FEWEST
from headstart.drift.watching import STEP, Event, Rows, Watch
from headstart.errors import DataError, HeadstartError
from headstart.pipeline.opening import load
from headstart.pipeline.watching.logs import AnswerLog, Row, row_of
from headstart.pipeline.watching.tables import Columns, Stream, is_table
from headstart.results.watched import Watched, line
from headstart.runtime.progress import Progress, Show, as_progress
from headstart.serve import Predictor

__all__ = ["Columns", "watch", "watched"]
Truth = str | None


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
    `time` orders, and in which `label` says what was right where that is known by now. Rows that
    hold features, or answers as `predict --out` writes them, are a log (`watching.logs`): nothing
    is answered anew. False alarms are held to 5 % of streams of 2,000 items. Raises HeadstartError
    for anything the user can mend.
    """
    places = (str(model), str(stream)) if isinstance(stream, str | Path) else ()
    return watched(load(model), stream, Columns(time, label), as_progress(progress), places)


def watched(
    predictor: Predictor,
    stream: Any,
    columns: Columns,
    progress: Progress,
    places: tuple[str, ...] = (),
) -> Watched:
    """The same for a model that was opened before; `places` are its own and the stream's."""
    reference = _reference(predictor, columns)
    log, things = _things(predictor, stream, columns)
    if log is not None:
        reference = log.reference(reference)
        if log.remark:
            progress.say(log.remark)
    predictions = predictor.task.predictions(reference.outputs)
    watcher = Watch(reference, predictions, predictor.labels, columns.label is not None)
    events: list[Event] = []
    unread, first = 0, ""
    for window in _windows(things, progress):
        batch = _answers_to(predictor, window) if log is None else _logged(log, window)
        unread, first = unread + batch.unread, first or batch.first
        right = _right(predictor.labels, batch.rows[1], batch.truths)
        for event in watcher.add(batch.names, batch.rows, right):
            progress.say(line(event, places))
            events.append(event)
    if not watcher.count:
        what = "item" if log is None else "answer"
        raise DataError(
            f"No {what} that can be read was given{first}. Name a folder, a table, or texts."
        )
    return Watched(events, watcher.count, unread, places)


def _reference(predictor: Predictor, columns: Columns) -> Reference:
    """What the model was held to. Raises HeadstartError where a stream can't be held to that."""
    reference = predictor.reference
    if reference is None:
        raise HeadstartError(f"{NO_REFERENCE}, so that a stream has no yardstick. {FIT_AGAIN}")
    if len(reference) < FEWEST:
        raise HeadstartError(
            f"The model keeps {len(reference)} held-out items, too few to see drift against. "
            f"Fit it again with {FEWEST} or more held out."
        )
    if columns.label is not None and not reference.labelled:
        raise HeadstartError(
            "The model was adapted to items without labels, so that no errors on them are known to "
            "compare with. Leave out --label."
        )
    if columns.label is not None and reference.targets.ndim != 1:
        raise HeadstartError(
            f"The model answers with {predictor.task.kind}, whose errors are not watched. "
            "Leave out --label."
        )
    return reference


@final
@dataclass(frozen=True)
class _Answers:
    """Some items as the model sees and answers them, with what is known of the truth."""

    names: Sequence[str]
    rows: Rows
    truths: Sequence[Truth]
    unread: int
    first: str = ""  # what can't be read, and why


def _things(
    predictor: Predictor, stream: Any, columns: Columns
) -> tuple[AnswerLog | None, Iterable[tuple[Any, Truth]]]:
    """Inputs or rows of a log, which is told then, in their order, each with the label known."""
    if is_table(stream):
        table = Stream(Path(stream), columns)
        log = AnswerLog.of(table.first, predictor)
        if log is not None or columns.has_columns:
            return log, _ordered(table, predictor, log)
    elif columns.has_columns:
        raise DataError(
            f"{str(stream)[:60]} is no table, so that it has no columns. "
            "Give a CSV, JSON Lines or Parquet file, or leave out the columns."
        )
    if isinstance(stream, Iterator):
        first = next(stream, None)
        row = row_of(first)
        log = None if row is None else AnswerLog.of(row, predictor)
        stream = stream if first is None else chain([first], stream)
        if log is not None:
            return log, ((row_of(each) or {}, None) for each in stream)
    return None, ((each, None) for each in predictor.inputs(stream))


def _ordered(
    stream: Stream, predictor: Predictor, log: AnswerLog | None
) -> Iterator[tuple[Any, Truth]]:
    """The rows of a table, as inputs unless they are a log's."""
    things: list[Any]
    if log is None:
        things = list(predictor.inputs(stream.path))
    else:
        table, names = stream.table, list(stream.table.names)
        cells = zip(*(table.values(name) for name in names), strict=True)
        things = [dict(zip(map(str, names), row, strict=True)) for row in cells]
    truths = stream.truths(len(things), predictor.labels)
    for place in stream.order(len(things)):
        yield things[place], truths[place]


def _windows(
    things: Iterable[tuple[Any, Truth]], progress: Progress
) -> Iterator[list[tuple[Any, Truth]]]:
    """So many things at a time as lie between two looks, until they end or the user stops them."""
    each = _until_stopped(things, progress)
    while window := list(islice(each, STEP)):
        yield window


def _until_stopped(
    things: Iterable[tuple[Any, Truth]], progress: Progress
) -> Iterator[tuple[Any, Truth]]:
    try:
        yield from things
    except KeyboardInterrupt:
        progress.say("Stopped. What was seen till then follows.")


def _answers_to(predictor: Predictor, window: Sequence[tuple[Input, Truth]]) -> _Answers:
    """Inputs, answered now."""
    problems = [predictor.problem(item) for item, _ in window]
    sound = [each for each, problem in zip(window, problems, strict=True) if not problem]
    wrong = (f"; {i.name}: {why}" for (i, _), why in zip(window, problems, strict=True) if why)
    width = predictor.reference.features.shape[1] if predictor.reference else 0
    features = np.empty((0, width), np.float32)
    if sound:
        features = predictor.features([item.item for item, _ in sound])
    outputs = predictor.headed(features) if sound else np.empty((0, len(predictor.labels)))
    rows = features, outputs, predictor.task.predictions(outputs)
    names = [item.id or item.name for item, _ in sound]
    truths = [truth for _, truth in sound]
    return _Answers(names, rows, truths, len(window) - len(sound), next(wrong, ""))


def _logged(log: AnswerLog, window: Sequence[tuple[Row, Truth]]) -> _Answers:
    """Rows of a log."""
    names, rows, sound = log.rows([row for row, _ in window])
    truths = [truth for (_, truth), right in zip(window, sound, strict=True) if right]
    return _Answers(names, rows, truths, len(window) - len(names))


def _right(labels: Sequence[str], outputs: np.ndarray, truths: Sequence[Truth]) -> np.ndarray:
    """Which answers were right, (M,) of 1 and 0, NaN where that isn't known."""
    answers = [labels[place] for place in outputs.argmax(axis=1).tolist()] if len(outputs) else []
    pairs = zip(answers, truths, strict=True)
    return np.array([np.nan if truth is None else float(own == truth) for own, truth in pairs])
