"""The command that shows a page which learns while one gives it examples."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headstart.cli.answers import Answer
from headstart.cli.flags import Browser, FreePort
from headstart.runtime.progress import Progress


def studio(
    progress: Progress,
    data: Annotated[
        str | None,
        typer.Argument(help="A folder or a table to begin with, labelled or not."),
    ] = None,
    out: Annotated[
        str,
        typer.Option("--out", "-o", help="The session's folder, new or from before."),
    ] = "studio",
    backbone: Annotated[
        list[str] | None,
        typer.Option(
            "--backbone",
            "-b",
            help="hub:name; give several to choose among; absent, those at hand.",
        ),
    ] = None,
    port: FreePort = 0,
    browser: Browser = False,
) -> Answer:
    """Give examples on a local page that learns at once, and see what a model of them is worth."""
    from headstart.cli import app
    from headstart.studio.desk import Opening
    from headstart.studio.opening import studio as show

    names = {getattr(each.callback, "__name__", "") for each in app.registered_commands}
    opening = Opening(Path(out), backbone or (), "export" in names)
    return show(data, opening, port, browser=browser, progress=progress)
