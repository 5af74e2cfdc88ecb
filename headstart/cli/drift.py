"""The commands on shift and drift: what new items are like, beside those that were held out."""

from __future__ import annotations

from typing import Annotated

import typer

from headstart.cli.answers import Answer, answer
from headstart.cli.flags import Json, MakeSettings
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


def register(app: typer.Typer) -> None:
    """Add the commands to the program, in this order."""
    app.command()(shift)


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
