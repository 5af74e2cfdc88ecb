"""The arguments and flags that several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Annotated

import typer

from headstart.cli.options import HELP
from headstart.defaults import Settings

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
Data = Annotated[
    str, typer.Argument(help="A folder per class, or a CSV, TSV, JSONL or Parquet file.")
]
PlannedData = Annotated[
    str | None, typer.Argument(help="A folder per class, or a manifest; a plan names its own.")
]
Plan = Annotated[
    str | None, typer.Option(help="A plan.json, or its folder: do again what it says.")
]
Check = Annotated[
    bool, typer.Option("--check", help="Fine-tune them all, and say how far the ranking was off.")
]
SavedModel = Annotated[str, typer.Argument(help="A folder that `headstart fit` wrote.")]
Pretrained = Annotated[
    str,
    typer.Option("--backbone", "-b", help="hub:name, then @weights and ?option=value."),
]
Out = Annotated[
    str, typer.Option("--out", "-o", help="A new folder for the model; absent, `model` here.")
]
Strategy = Annotated[
    str | None,
    typer.Option(
        "--strategy",
        "-s",
        help="name, then ?option=value where wanted; auto tries several; absent, the size of the "
        "data decides, or auto where the backbone is chosen.",
    ),
]
Several = Annotated[
    list[str] | None,
    typer.Option(
        "--backbone",
        "-b",
        help="hub:name, then @weights and ?option=value; give several, or a pattern with *, to "
        "choose among them; absent, all that are at hand, or a small one that is fetched.",
    ),
]
Download = Annotated[
    bool, typer.Option("--download", help="Also look at backbones that must be fetched first.")
]
Explain = Annotated[
    bool,
    typer.Option("--explain", help="Also say why: a heat map on each picture, a weight per word."),
]
Abstain = Annotated[
    bool,
    typer.Option("--abstain", help="Don't answer what is less familiar than 95 % of usual inputs."),
]
Answers = Annotated[
    str | None,
    typer.Option(
        "--out",
        "-o",
        help="A new file for the answers: .csv, .parquet or .jsonl. With --explain a folder for "
        "the heat maps; absent, beside the pictures.",
    ),
]
Inputs = Annotated[
    list[str] | None,
    typer.Argument(
        help="Files, folders, manifests, or - for a text or path a line on standard input. To a "
        "model of texts all is a text but single words that end like a file, and folders "
        "that are written with a slash at their end."
    ),
]
File = Annotated[
    list[str] | None,
    typer.Option("--file", help="A file, folder or manifest whatever its name; may be repeated."),
]
Offline = Annotated[bool, typer.Option("--offline", help=HELP["offline"])]
Label = Annotated[list[str] | None, typer.Option(help=HELP["label"])]
Text = Annotated[list[str] | None, typer.Option(help=HELP["text"])]
ImageColumn = Annotated[str | None, typer.Option("--image", help=HELP["image"])]
ClassLevel = Annotated[int | None, typer.Option("--class-level", help=HELP["class_level"])]
Delimiter = Annotated[str | None, typer.Option(help=HELP["delimiter"])]
GroupColumn = Annotated[str | None, typer.Option("--group", help=HELP["group"])]
OtherData = Annotated[
    str | None, typer.Argument(help="Labelled data to report on; absent, those it was made with.")
]
PageOut = Annotated[
    str | None,
    typer.Option("--out", "-o", help="A folder for the page on DATA; absent, report-NAME here."),
]
MovedData = Annotated[
    str | None, typer.Argument(help="Where the model's data are now; absent, where they were.")
]
Budget = Annotated[str | None, typer.Option(help=HELP["budget"])]
Seeds = Annotated[int | None, typer.Option(help=HELP["seeds"])]
Level = Annotated[str, typer.Option("--evidence", help=HELP["evidence"])]
MakeSettings = Callable[[], Settings]


def keep_offline(offline: bool) -> None:
    """Let no hub open a connection; their libraries read this when they are imported."""
    if offline:
        os.environ["HF_HUB_OFFLINE"] = "1"
