"""The commands about labels that are still to be given: suggest and label."""

from __future__ import annotations

from typing import Annotated

import typer

from headstart.cli.answers import Answer
from headstart.cli.flags import Browser, FreePort, SavedModel
from headstart.runtime.progress import Progress

Unlabelled = Annotated[str, typer.Argument(help="A folder or manifest of items without labels.")]


def suggest(
    model: SavedModel,
    unlabelled: Unlabelled,
    progress: Progress,
    count: Annotated[int, typer.Option("--next", help="How many items to name.")] = 20,
    out: Annotated[
        str | None,
        typer.Option("--out", "-o", help="A new .csv of them, with an empty column `label`."),
    ] = None,
) -> Answer:
    """Name the items whose labels would help a model most, and say what the last ones changed."""
    from headstart.pipeline.suggesting import suggest as ask

    return ask(model, unlabelled, count, out=out, progress=progress)


def label(  # noqa: PLR0913  # a flag each
    model: Annotated[
        str, typer.Argument(help="A folder that `headstart fit` wrote, or - where there is none.")
    ],
    unlabelled: Unlabelled,
    progress: Progress,
    labels: Annotated[
        str | None,
        typer.Option(help="The classes, with commas between; absent, those of the model."),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option("--out", "-o", help="The table of answers; absent, labels.csv in the folder."),
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option("--backbone", "-b", help="Without a model: what tells typical items apart."),
    ] = None,
    count: Annotated[
        int, typer.Option("--next", help="How many items to show, the most helpful first.")
    ] = 100,
    port: FreePort = 0,
    browser: Browser = False,
) -> Answer:
    """Show items on a local page where a key gives the class, and write labels.csv for `fit`."""
    from headstart.pipeline.labelling import LabellingOptions
    from headstart.pipeline.labelling import label as ask

    classes = None if labels is None else tuple(part.strip() for part in labels.split(","))
    task = LabellingOptions(classes, out, backbone, count, port, browser)
    return ask(None if model == "-" else model, unlabelled, task, progress=progress)
