"""The arguments and flags that several commands share."""

from __future__ import annotations

from typing import Annotated, Any

import typer

Data = Annotated[str, typer.Argument(help="A folder per class, a table, or the address of one.")]
PlannedData = Annotated[
    str | None, typer.Argument(help="A folder per class, or a manifest; a plan names its own.")
]
SourceData = Annotated[
    str | None, typer.Argument(help="A folder per class, or a manifest; --task names several.")
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
Tasks = Annotated[
    list[str] | None,
    typer.Option(
        "--task",
        metavar="NAME=DATA",
        help="A data set of a task of its own; give several, in place of DATA: one model for all.",
    ),
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
Draw = Annotated[
    str | None,
    typer.Option("--draw", help="A folder for the pictures with the boxes that were found."),
]
Abstain = Annotated[
    bool,
    typer.Option("--abstain", help="Don't answer what is less familiar than 95 % of usual inputs."),
]
Tagged = Annotated[
    bool,
    typer.Option(
        "--events",
        help="Say what long recordings hold and when: windows are answered, and neighbours of one "
        "label joined. --out may then also end in .txt, for Audacity's labels.",
    ),
]
Window = Annotated[
    float | None,
    typer.Option("--window", help="With --events: seconds; absent, what the network hears."),
]
Hop = Annotated[
    float | None,
    typer.Option("--hop", help="With --events: seconds between windows; absent, half of one."),
]
Least = Annotated[
    float | None,
    typer.Option("--least", help="With --events: the least probability; absent, 0.5."),
]
Answers = Annotated[
    str | None,
    typer.Option(
        "--out",
        "-o",
        help="A new file for the answers: .csv, .parquet or .jsonl; .json for boxes as COCO. With "
        "--explain a folder for the heat maps; absent, beside the pictures.",
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
FreePort = Annotated[int, typer.Option(help="On this machine; absent, one that is free.")]
Browser = Annotated[bool, typer.Option("--open", help="Also open the page in the usual browser.")]
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
# Fields of Settings by name, as a mapping that the flow takes: a flag for each.
Proof = Annotated[dict[str, Any], ("budget", "seeds", "evidence")]
TextColumns = Annotated[dict[str, Any], ("text", "image")]
Columns = Annotated[dict[str, Any], ("label", "text", "image", "delimiter", "class_level")]
GroupedColumns = Annotated[
    dict[str, Any], ("label", "text", "image", "delimiter", "group", "class_level")
]
