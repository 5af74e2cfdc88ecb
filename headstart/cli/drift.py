"""The commands on shift and drift: what new items are like, and a model that learns them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from headstart.cli.answers import Answer
from headstart.cli.flags import Columns as ColumnFlags
from headstart.cli.flags import File, SavedModel
from headstart.defaults import Settings
from headstart.errors import HeadstartError
from headstart.runtime.progress import Progress

Before = Annotated[
    str, typer.Argument(help="A saved model, or labelled data in the features of --backbone.")
]
Other = Annotated[str, typer.Argument(help="Items to compare, with labels or without.")]
Features = Annotated[
    str | None,
    typer.Option("--backbone", "-b", help="hub:name, where BEFORE is labelled data."),
]
Stream = Annotated[
    list[str] | None,
    typer.Argument(
        help="Items as they came: a folder, a table, a log of answers as `predict --out` writes "
        "it, or - for a line each from outside."
    ),
]
Time = Annotated[str | None, typer.Option(help="The column of a table that orders its rows.")]
Truth = Annotated[
    str | None, typer.Option("--label", help="The column of labels, empty where not known yet.")
]
NewItems = Annotated[
    str, typer.Argument(help="New labelled items: a folder per class, or a manifest.")
]
NewModel = Annotated[
    str | None,
    typer.Option("--out", "-o", help="A new folder; absent, the model's own, if it gains."),
]
Old = Annotated[
    list[str] | None,
    typer.Option("--old", help="Where the items are that MODEL was made with, if they moved."),
]
Anyway = Annotated[
    bool, typer.Option("--anyway", help="Take the new model even if it gained nothing, or lost.")
]


def shift(
    before: Before,
    other: Other,
    settings: Settings,
    progress: Progress,
    backbone: Features = None,
) -> Answer:
    """Say how far items are from those a model was held to, and what accuracy to expect of them."""
    from headstart.pipeline.shifting import shift as compare

    return compare(before, Path(other), backbone=backbone, settings=settings, progress=progress)


def watch(
    model: SavedModel,
    progress: Progress,
    stream: Stream = None,
    file: File = None,
    time: Time = None,
    label: Truth = None,
) -> Answer:
    """Watch a stream of inputs, and say when it moves, what moved, and what to do."""
    from headstart.cli.predicting import arguments
    from headstart.pipeline.opening import load
    from headstart.pipeline.watching import Columns, watched

    streams, files, columns = stream or (), file or (), Columns(time, label)
    if not streams and not files:
        raise HeadstartError("No stream was given to watch. Name a folder or a table, or give -.")
    if columns.has_columns and len(streams) + len(files) != 1:
        raise HeadstartError(
            "--time and --label name columns of one table, and several inputs were given. "
            "Give one table."
        )
    predictor, every = load(model), (*streams, *files)
    if columns.has_columns or (len(every) == 1 and os.path.exists(every[0])):
        return watched(predictor, Path(every[0]), columns, progress, (model, every[0]))
    inputs = arguments(streams, files, predictor.reader.modality)
    return watched(predictor, inputs, columns, progress)


def refit(  # a flag each
    model: SavedModel,
    data: NewItems,
    columns: ColumnFlags,
    progress: Progress,
    out: NewModel = None,
    old: Old = None,
    anyway: Anyway = False,
) -> Answer:
    """Teach a saved model new labelled items, and say what that changed on old and new ones."""
    from headstart.pipeline.refitting import refit as learn

    place = [Path(each) for each in old or ()]
    return learn(model, data, out, old=place, anyway=anyway, progress=progress, **columns)
