"""The commands by which a saved model leaves: export, push, card."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from headstart.cli.answers import Answer
from headstart.cli.flags import Columns, SavedModel
from headstart.runtime.progress import Progress

To = Annotated[str, typer.Option("--to", help="onnx, openvino, page, torch, sklearn or tflite.")]
New = Annotated[str, typer.Option("--out", "-o", help="A new folder for the file and its JSON.")]
Int8 = Annotated[
    bool, typer.Option("--int8", help="Whole numbers of 8 bits, by NNCF; for onnx, openvino, page.")
]
CheckOn = Annotated[
    str | None,
    typer.Option(
        "--check", help="Labelled data to compare on; absent, the model's own test items."
    ),
]
Calibration = Annotated[
    str | None,
    typer.Option(
        help="Items, labelled or not, for the ranges of --int8; absent, the model's own data."
    ),
]


def export(  # noqa: PLR0913  # a flag each
    model: SavedModel,
    to: To,
    out: New,
    int8: Int8 = False,
    check: CheckOn = None,
    calibration: Calibration = None,
    *,
    columns: Columns,
    progress: Progress,
) -> Answer:
    """Write a saved model in a form that others run, and compare its answers on raw files.

    Nothing is written where one answer differs, or with --int8 where 1 % of them do.
    """
    from headstart.pipeline import exporting

    options: dict[str, Any] = {"int8": int8, "check": check, "calibration": calibration}
    return exporting.export(model, to, out, **options, progress=progress, **columns)


def push(
    model: SavedModel,
    repository: Annotated[str, typer.Argument(help="OWNER/NAME on the Hugging Face Hub.")],
    public: Annotated[
        bool, typer.Option("--public", help="Let all see a repository that is made for it.")
    ] = False,
    *,
    progress: Progress,
) -> Answer:
    """Upload a saved model's own files to the Hugging Face Hub; the token is $HF_TOKEN."""
    from headstart.pipeline import pushing

    return pushing.push(model, repository, public=public, progress=progress)


def card(
    model: SavedModel,
    write: Annotated[
        bool, typer.Option("--write", help="Write it into the model's folder, as README.md.")
    ] = False,
    *,
    progress: Progress,
) -> Answer:
    """Print a saved model's card, made anew as the Hugging Face Hub reads it."""
    from headstart.pipeline import pushing

    return pushing.card(model, write=write)
