"""The command that puts saved models behind an address."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headstart.cli.answers import Answer
from headstart.runtime.progress import Progress

_MIB = 2**20
Models = Annotated[
    list[str],
    typer.Argument(
        metavar="MODEL...", help="Folders that `headstart fit` wrote, or NAME=FOLDER each."
    ),
]
Port = Annotated[int, typer.Option(help="Where it listens; 0 for one that is free.")]
Host = Annotated[str, typer.Option(help="Its address; others than this machine's take a token.")]
TokenFile = Annotated[
    str | None,
    typer.Option(help="A file with the token that requests must bear; else HEADSTART_TOKEN."),
]
WithoutToken = Annotated[
    bool, typer.Option("--without-token", help="Let anyone ask who reaches --host.")
]
Log = Annotated[str, typer.Option(help="A folder for the logs of answers and of drift.")]
NoLog = Annotated[bool, typer.Option("--no-log", help="Keep no log.")]
Batch = Annotated[int, typer.Option(help="Items that are answered together, at most.")]
Wait = Annotated[float, typer.Option(help="Milliseconds that they wait for others on their way.")]
Timeout = Annotated[float, typer.Option(help="Seconds that a request may take.")]
BodySize = Annotated[float, typer.Option("--body", help="MiB of a request.")]
Items = Annotated[int, typer.Option(help="Items of a request.")]
Pixels = Annotated[float, typer.Option(help="Millions of pixels of a picture.")]
Waiting = Annotated[int, typer.Option(help="Items of all requests that may wait; more hear 503.")]
Explain = Annotated[
    bool, typer.Option("--explain", help="Load at the start what explanations take, such as torch.")
]


def serve(  # noqa: PLR0913  # a flag each
    models: Models,
    progress: Progress,
    port: Port = 8000,
    host: Host = "127.0.0.1",
    token_file: TokenFile = None,
    without_token: WithoutToken = False,
    log: Log = "served",
    no_log: NoLog = False,
    batch: Batch = 32,
    wait: Wait = 2.0,
    timeout: Timeout = 30.0,
    body: BodySize = 32.0,
    items: Items = 256,
    pixels: Pixels = 64.0,
    waiting: Waiting = 512,
    explain: Explain = False,
) -> Answer:
    """Serve saved models over HTTP: answers, explanations, health, metrics, cards, reports."""
    from headstart.server.limits import Limits
    from headstart.server.serving import Address, Service
    from headstart.server.serving import serve as run

    limits = Limits(
        body=int(body * _MIB),
        bodies=int(max(256.0, body) * _MIB),
        items=items,
        pixels=int(pixels * 1e6),
        seconds=timeout,
        waiting=waiting,
        batch=batch,
        wait=wait / 1000,
    )
    address = Address(host, port, token_file, without_token)
    place = None if no_log else Path(log)
    return run(Service(models, address, limits, place, explain=explain), progress)
