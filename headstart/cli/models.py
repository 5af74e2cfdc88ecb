"""The commands that put saved models to work: evaluate, predict, compare, report."""

from __future__ import annotations

from dataclasses import replace

import typer

from headstart.cli.answers import USERS, Answer, answer
from headstart.cli.flags import (
    Answers,
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
    Offline,
    OtherData,
    PageOut,
    SavedModel,
    Text,
    keep_offline,
)
from headstart.cli.options import joined
from headstart.progress import Progress


def register(app: typer.Typer) -> None:
    """Add the commands to the program, in this order."""
    for command in (evaluate, predict, compare, report):
        app.command()(command)


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
        from headstart.cli.predicting import predicted

        found, failed = predicted(model, inputs or (), file or (), text or (), image, explain, out)
        failures.append(failed)
        return found

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
