"""The commands that put saved models to work: evaluate, predict, compare, report."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from headstart.cli.answers import Answer, answer
from headstart.cli.flags import (
    ClassLevel,
    Data,
    Delimiter,
    Explain,
    GroupColumn,
    ImageColumn,
    Json,
    Label,
    OtherData,
    Overlays,
    PageOut,
    SavedModel,
    Text,
)
from headstart.cli.listings import Predictions
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
    as_json: Json = False,
) -> None:
    """Score a saved model on labelled data."""

    def work(progress: Progress) -> Answer:
        from headstart import pipeline

        return pipeline.evaluate(
            *(model, data),
            progress=progress,
            label=label,
            text=text or (),
            image=image,
            delimiter=delimiter,
            class_level=class_level,
        )

    answer(as_json, work)


def predict(
    model: SavedModel,
    inputs: Annotated[
        list[str], typer.Argument(help="Files, folders of files, or texts themselves.")
    ],
    explain: Explain = False,
    out: Overlays = None,
    as_json: Json = False,
) -> None:
    """Say what new files or texts are, by a saved model."""

    def work(progress: Progress) -> Answer:
        from headstart import pipeline

        predictor = pipeline.load(model)
        if not explain and out is None:
            return Predictions(predictor.predict(inputs))
        from headstart.cli.explaining import explained

        return explained(predictor, inputs, out)

    answer(as_json, work)


def compare(  # noqa: PLR0913  # a flag each
    first: SavedModel,
    second: SavedModel,
    data: Data,
    label: Label = None,
    text: Text = None,
    image: ImageColumn = None,
    delimiter: Delimiter = None,
    class_level: ClassLevel = None,
    as_json: Json = False,
) -> None:
    """Say by how much a second saved model beats a first one, and which is smaller and faster."""

    def work(progress: Progress) -> Answer:
        from headstart import pipeline

        return pipeline.compare(
            *(first, second, data),
            progress=progress,
            label=label,
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
    group: GroupColumn = None,
    class_level: ClassLevel = None,
    as_json: Json = False,
) -> None:
    """Show what was measured when a model was made, or how it does on other data, with a page."""

    def work(progress: Progress) -> Answer:
        from headstart import pipeline
        from headstart.data import Schema

        if data is None:
            return pipeline.reported(model)
        columns = Schema(label, tuple(text or ()), group=group)
        schema = replace(columns, files=image, class_level=class_level)
        return pipeline.report_on(model, data, out, schema=schema, progress=progress)

    answer(as_json, work)
