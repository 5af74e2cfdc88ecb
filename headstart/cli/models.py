"""The commands for saved models: prove, evaluate, predict, compare, report."""

from __future__ import annotations

from dataclasses import replace

import typer

from headstart.cli.answers import USERS, Answer, answer
from headstart.cli.flags import (
    Abstain,
    Answers,
    Budget,
    ClassLevel,
    Data,
    Delimiter,
    Explain,
    File,
    GroupColumn,
    ImageColumn,
    Inputs,
    Json,
    Label,
    Level,
    MovedData,
    Offline,
    OtherData,
    PageOut,
    SavedModel,
    Seeds,
    Text,
    keep_offline,
)
from headstart.cli.options import joined
from headstart.defaults import Settings
from headstart.runtime.budget import seconds
from headstart.runtime.progress import Progress


def register(app: typer.Typer) -> None:
    """Add the commands to the program, in this order."""
    for command in (prove, evaluate, predict, compare, report):
        app.command()(command)


def prove(  # a flag each
    model: SavedModel,
    data: MovedData = None,
    budget: Budget = None,
    seeds: Seeds = None,
    level: Level = Settings.evidence,
    offline: Offline = False,
    as_json: Json = False,
) -> None:
    """Go on with the proof of a saved model, whose weights stay as they are.

    For one whose fit was interrupted, had no network from scratch, or too small a budget.
    """

    def work(progress: Progress) -> Answer:
        keep_offline(offline)
        from headstart import pipeline

        settings = Settings(
            budget=None if budget is None else seconds(budget),
            seeds=Settings.seeds if seeds is None else seeds,
            evidence=level,
            offline=offline,
        )
        return pipeline.prove(model, data, settings=settings, progress=progress)

    answer(as_json, work)


def evaluate(  # noqa: PLR0913  # a flag each
    model: SavedModel,
    data: Data,
    label: Label = None,
    text: Text = None,
    image: ImageColumn = None,
    delimiter: Delimiter = None,
    class_level: ClassLevel = None,
    offline: Offline = False,
    as_json: Json = False,
) -> None:
    """Score a saved model on labelled data."""

    def work(progress: Progress) -> Answer:
        keep_offline(offline)
        from headstart import pipeline

        return pipeline.evaluate(
            *(model, data),
            progress=progress,
            label=joined(label),
            text=text or (),
            image=image,
            delimiter=delimiter,
            class_level=class_level,
        )

    answer(as_json, work)


def predict(  # noqa: PLR0913  # a flag each
    model: SavedModel,
    inputs: Inputs = None,
    file: File = None,
    text: Text = None,
    image: ImageColumn = None,
    explain: Explain = False,
    abstain: Abstain = False,
    out: Answers = None,
    offline: Offline = False,
    as_json: Json = False,
) -> None:
    """Say what new files, texts or rows are, by a saved model.

    What can't be read is listed with its reason among the answers, and the exit code is then 2.
    """
    failures: list[int] = []

    def work(progress: Progress) -> Answer:
        keep_offline(offline)
        from headstart.cli.predicting import Asked, predicted

        how = Asked(tuple(text or ()), image, explain, abstain)
        answers, failed = predicted(model, inputs or (), file or (), how, out, progress)
        failures.append(failed)
        return answers

    answer(as_json, work)
    if any(failures):
        typer.echo(f"error: {failures[0]} could not be answered; see the answer.", err=True)
        raise typer.Exit(USERS)


def compare(  # noqa: PLR0913  # a flag each
    first: SavedModel,
    second: SavedModel,
    data: Data,
    label: Label = None,
    text: Text = None,
    image: ImageColumn = None,
    delimiter: Delimiter = None,
    class_level: ClassLevel = None,
    offline: Offline = False,
    as_json: Json = False,
) -> None:
    """Say by how much a second saved model beats a first one, and which is smaller and faster."""

    def work(progress: Progress) -> Answer:
        keep_offline(offline)
        from headstart import pipeline

        return pipeline.compare(
            *(first, second, data),
            progress=progress,
            label=joined(label),
            text=text or (),
            image=image,
            delimiter=delimiter,
            class_level=class_level,
        )

    answer(as_json, work)


def report(  # noqa: PLR0913  # a flag each
    model: SavedModel,
    data: OtherData = None,
    out: PageOut = None,
    label: Label = None,
    text: Text = None,
    image: ImageColumn = None,
    delimiter: Delimiter = None,
    group: GroupColumn = None,
    class_level: ClassLevel = None,
    offline: Offline = False,
    as_json: Json = False,
) -> None:
    """Show what was measured when a model was made, or how it does on other data, with a page."""

    def work(progress: Progress) -> Answer:
        keep_offline(offline)
        from headstart import pipeline
        from headstart.data import Schema

        if data is None:
            return pipeline.reported(model)
        columns = Schema(joined(label), tuple(text or ()), delimiter=delimiter, group=group)
        schema = replace(columns, files=image, class_level=class_level)
        return pipeline.report_on(model, data, out, schema=schema, progress=progress)

    answer(as_json, work)
