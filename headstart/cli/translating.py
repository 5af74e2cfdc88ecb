"""The commands for translations: translate, pivot."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from headstart.cli.answers import Answer
from headstart.cli.flags import Data, SavedModel
from headstart.defaults import Settings
from headstart.errors import DataError, HeadstartError
from headstart.runtime.progress import Progress

_RECORD, _LINES = "headstart.json", "-"
_FILES = (".txt", ".text", ".csv", ".tsv", ".md")  # how words end that are files of texts
Memory = Annotated[
    str | None,
    typer.Option(
        "--memory", help="Pairs whose translations nearly equal texts have, such as pairs.csv."
    ),
]
Likeness = Annotated[
    float | None,
    typer.Option(
        "--likeness", help="How like such a text must be, 0 to 1; else what was measured."
    ),
]


def translate(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL... TEXT...",
            help="Saved models, one behind another; then texts, files with a text a line, or -.",
        ),
    ],
    progress: Progress,
    via: Annotated[
        list[str] | None,
        typer.Option("--via", help="The language in which two models meet, such as en."),
    ] = None,
    memory: Memory = None,
    likeness: Likeness = None,
) -> Answer:
    """Translate texts by a saved model, or by several, through the languages between."""
    from headstart.pipeline import pivoting

    count = next((n for n, each in enumerate(models) if not _is_model(each)), len(models))
    if not count or count == len(models):
        lacking = "text" if count else "saved model"
        raise HeadstartError(
            f"No {lacking} was given to translate. Name saved models first, and then texts."
        )
    texts = [text for each in models[count:] for text in _texts(each)]
    return pivoting.translate(
        models[:count],
        texts,
        via=via or (),
        memory=memory,
        likeness=likeness,
        progress=progress,
    )


def pivot(  # noqa: PLR0913  # a flag each
    first: SavedModel,
    second: SavedModel,
    data: Data,
    source: Annotated[str, typer.Option(help="The column of texts to translate, such as ru.")],
    target: Annotated[str, typer.Option(help="The column of right translations, such as ko.")],
    progress: Progress,
    direct: Annotated[
        str | None,
        typer.Option("--direct", help="A saved model that translates without a language between."),
    ] = None,
    seed: Annotated[int, typer.Option(help="What resamples are drawn by.")] = 0,
) -> Answer:
    """Say what translating by two models in turn is worth, beside a direct one."""
    from headstart.pipeline import pivoting

    settings = Settings(source=source, target=target, seed=seed)
    return pivoting.pivot(first, second, data, direct=direct, settings=settings, progress=progress)


def _is_model(argument: str) -> bool:
    try:
        return (Path(argument) / _RECORD).is_file()
    except ValueError:  # a zero byte
        return False


def _texts(argument: str) -> Iterator[str]:
    """A text, or the lines of a file or of standard input."""
    if argument == _LINES:
        yield from _lines(sys.stdin.buffer.read(), "standard input")
        return
    path = Path(argument)
    try:
        is_file = path.is_file()
    except (OSError, ValueError):  # too long for a name
        is_file = False
    if is_file:
        yield from _lines(path.read_bytes(), argument)
    elif path.suffix.lower() in _FILES and not set(argument) & set(" \t\n"):
        raise DataError(f"{argument} does not exist. Check the path; texts may be given by -.")
    else:
        yield argument


def _lines(content: bytes, name: str) -> Sequence[str]:
    from headstart.runtime.encodings import NotTextError, decoded

    try:
        return decoded(content).splitlines()
    except NotTextError as error:
        raise DataError(f"{name} is no text in {error.encoding}. Save it as UTF-8.") from error
