"""The commands for saved models: prove, evaluate, predict, compare, report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.cli.answers import Answer, Incomplete
from headstart.cli.flags import (
    Abstain,
    Answers,
    Data,
    Draw,
    Explain,
    File,
    GroupedColumns,
    Hop,
    Inputs,
    Least,
    MovedData,
    OtherData,
    PageOut,
    Proof,
    SavedModel,
    Tagged,
    TextColumns,
    Window,
)
from headstart.cli.options import Offline
from headstart.defaults import Settings
from headstart.errors import HeadstartError
from headstart.runtime.progress import Progress

if TYPE_CHECKING:
    from headstart.data import Input
    from headstart.serve import Predictor


def prove(  # a flag each
    model: SavedModel,
    data: MovedData = None,
    *,
    proof: Proof,
    offline: Offline = False,
    progress: Progress,
) -> Answer:
    """Go on with the proof of a saved model, whose weights stay as they are.

    For one whose fit was interrupted, had no network from scratch, or too small a budget.
    """
    from headstart.pipeline import later

    settings = Settings(**proof, offline=offline)
    return later.prove(model, data, settings=settings, progress=progress)


def evaluate(model: SavedModel, data: Data, columns: GroupedColumns, progress: Progress) -> Answer:
    """Score a saved model on labelled data."""
    from headstart.pipeline.several import evaluating

    return evaluating.evaluate(model, data, progress=progress, **columns)


def predict(  # noqa: PLR0913  # a flag each
    model: SavedModel,
    inputs: Inputs = None,
    file: File = None,
    *,
    columns: TextColumns,
    explain: Explain = False,
    abstain: Abstain = False,
    draw: Draw = None,
    events: Tagged = False,
    window: Window = None,
    hop: Hop = None,
    least: Least = None,
    out: Answers = None,
    progress: Progress,
) -> Answer | Incomplete:
    """Say what new files, texts or rows are, by a saved model.

    What can't be read is listed with its reason, and the exit code is then 2.
    """
    from headstart.cli.drawing import demand_boxes
    from headstart.cli.predicting import arguments, demand_place, notice, windows
    from headstart.pipeline.several import opening

    windowing = windows(events, {"window": window, "hop": hop, "least": least}, explain or draw)
    demand_place(out, explain, abstain, events)
    if not (places := (*(inputs or ()), *(file or ()))):
        raise HeadstartError("No input was given to predict on. Name files, folders or texts.")
    predictor = opening.load(model)
    demand_boxes(predictor, draw)
    questions: Any = arguments(inputs or (), file or (), predictor.reader.modality)
    if windowing is not None:
        return _events(predictor, questions, windowing, out, abstain)
    if explain:
        return _explained(predictor, list(predictor.inputs(questions, **columns)), out)
    more = {**columns, "abstain": abstain}
    answers, failures = _answered(predictor, questions, (draw, out), more, progress)
    notice(predictor, model, places, progress)
    return _noted(answers, failures)


def _answered(
    predictor: Predictor,
    inputs: Any,
    places: tuple[str | None, str | None],
    more: Mapping[str, Any],
    progress: Progress,
) -> tuple[Answer, int]:
    """The answers, drawn or written at these places if any, and how many inputs have none."""
    from headstart.cli.drawing import draw_into
    from headstart.serve.written import write

    draw, out = places
    if out is not None and draw is None:
        table = write(Path(out), predictor.stream(inputs, **more))
        return table, table.failures
    if draw is not None:
        inputs = list(predictor.inputs(inputs, text=more["text"], image=more["image"]))
    answers = predictor.predict(inputs, **more)
    if draw is not None:
        progress.say(draw_into(predictor, Path(draw), inputs, answers))
    return (answers if out is None else answers.write(out)), len(answers.failed)


def _explained(
    predictor: Predictor, inputs: Iterable[Input], out: str | None
) -> Answer | Incomplete:
    from headstart.cli.explaining import explained

    explanations = explained(predictor, inputs, out)
    return _noted(explanations, len(explanations.predictions.failed))


def _events(
    predictor: Predictor,
    inputs: Iterable[Any],
    windowing: Mapping[str, float],
    out: str | None,
    abstain: bool,
) -> Answer | Incomplete:
    events = predictor.events(inputs, abstain, **windowing)
    return _noted(events if out is None else events.write(out), len(events.failed))


def _noted(answer: Answer, failures: int) -> Answer | Incomplete:
    return Incomplete(answer, f"{failures} could not be answered") if failures else answer


def compare(
    first: SavedModel, second: SavedModel, data: Data, columns: GroupedColumns, progress: Progress
) -> Answer:
    """Say by how much a second saved model beats a first one, and which is smaller and faster."""
    from headstart.pipeline import comparing

    return comparing.compare(first, second, data, progress=progress, **columns)


def report(
    model: SavedModel,
    data: OtherData = None,
    out: PageOut = None,
    *,
    columns: GroupedColumns,
    progress: Progress,
) -> Answer:
    """Show what was measured when a model was made, or how it does on other data, with a page."""
    from headstart.data import Schema
    from headstart.pipeline import reporting
    from headstart.pipeline.several import opening

    if data is None:
        answer: Answer = opening.reported(model)
        return answer
    names = {"text": "content", "image": "files"}
    schema = Schema(**{names.get(name, name): value for name, value in columns.items()})
    return reporting.report_on(model, data, out, schema=schema, progress=progress)
