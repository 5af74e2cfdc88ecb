"""The commands on shift and drift: what new items are like, beside those that were held out."""

from __future__ import annotations

from typing import Annotated

import typer

from headstart.cli.answers import Answer, answer
from headstart.cli.flags import File, Json, MakeSettings, Offline, SavedModel, keep_offline
from headstart.cli.options import takes_settings
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
    typer.Argument(help="Items as they came: folders, a table, or - for a line each from outside."),
]
Time = Annotated[str | None, typer.Option(help="The column of a table that orders its rows.")]
Truth = Annotated[
    str | None, typer.Option("--label", help="The column of labels, empty where not known yet.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to the program, in this order."""
    for command in (shift, watch):
        app.command()(command)


@takes_settings
def shift(
    before: Before,
    other: Other,
    settings: MakeSettings,
    backbone: Features = None,
    as_json: Json = False,
) -> None:
    """Say how far items are from those a model was held to, and what accuracy to expect of them."""

    def work(progress: Progress) -> Answer:
        chosen = settings()
        from headstart.pipeline.shifting import shift as compare

        return compare(before, other, backbone=backbone, settings=chosen, progress=progress)

    answer(as_json, work)


def watch(
    model: SavedModel,
    stream: Stream = None,
    file: File = None,
    time: Time = None,
    label: Truth = None,
    offline: Offline = False,
    as_json: Json = False,
) -> None:
    """Watch a stream of inputs, and say when it moves, what moved, and what to do."""

    def work(progress: Progress) -> Answer:
        keep_offline(offline)
        from headstart.cli.watching import watched

        return watched(model, stream or (), file or (), (time, label), progress)

    answer(as_json, work)
