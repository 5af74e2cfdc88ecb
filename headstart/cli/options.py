"""The flags that `fit` and `pretrain` share: one per field of Settings, made from the field."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import MISSING, Field, fields, replace
from functools import wraps
from inspect import Parameter, signature
from typing import Annotated, Any, get_type_hints

import typer

from headstart.defaults import Settings
from headstart.errors import HeadstartError
from headstart.runtime.budget import seconds
from headstart.runtime.trust import REPOSITORIES

HELP = {
    "seed": "Two runs with one seed are equal.",
    "seeds": "Trainings of transfer and scratch that the gain is over; several if they are quick.",
    "judge": "auto, holdout or cv: on held-out items, or by folds of all, as where items are few.",
    "budget": "Wall-clock time for the whole run: 90s, 10m, 1h, 1h30m.",
    "scratch": "Also train the same network from random weights; without it the gain is unknown.",
    "evidence": "full, quick or none: what is measured besides the arms, and shown in report.html.",
    "cache": "Keep the frozen prefix's activations on disk for later runs.",
    "epochs": "Passes over the training items.",
    "batch_size": "Items per step.",
    "learning_rate": "Base learning rate.",
    "precision": "auto, fp32 or bf16.",
    "engine": "What runs the frozen part: auto measures, or torch, or openvino.",
    "device": "auto, cpu, cuda or mps.",
    "augment": "auto, yes or no: random views of the training items.",
    "tta": "Average answers over the picture mirrored (flip), enlarged (scales), or flip+scales.",
    "views": "Store so many random views of each training item, to augment a frozen front.",
    "class_weights": "auto or none: make rare classes count as much as frequent ones.",
    "head": "On frozen features: logistic, ridge, knn, svm, gradient-boosting or xgboost.",
    "label": "The manifest's column that holds the label; several hold 0 and 1 each, or numbers.",
    "text": "The manifest's column that holds the text; give it twice for pairs of texts.",
    "image": "The manifest's column that holds the paths of pictures.",
    "class_level": "Which folders are the classes where they are nested: 1 for the first, 2 below.",
    "targets": "What the labels are: auto, classes, numbers, label-sets, or what a package adds.",
    "missing": "Words, with commas between, that stand for no label in place of NaN, NA, None, …",
    "delimiter": "What stands between the labels of one item, where it may have several.",
    "group": "The manifest's column of groups, which stay together; the report says the worst.",
    "adapt_to": "Data of another domain that need no labels: answer on them, and weigh the worth.",
    "adaptation": "How, with --adapt-to: auto, 'source only', mcc, standardisation, coral, t3a, …",
    "target_labels": "A table of a few labels of that domain to choose by: label-next.csv, filled.",
    "metric": "What models are chosen and judged by, such as macro-f1, auroc or mae.",
    "offline": "Open no connection.",
    "track": "Follow the run in mlflow, tensorboard or wandb.",
}


_TRUST = Parameter(
    "trust",
    Parameter.KEYWORD_ONLY,
    default=None,
    annotation=Annotated[
        list[str] | None,
        typer.Option(
            "--trust",
            metavar="OWNER/REPO",
            help="Let the code of this repository on GitHub run, for torchhub:; may be repeated.",
        ),
    ],
)
READ_AS: dict[str, Any] = {  # then made into ours
    "budget": str | None,
    "text": list[str] | None,
    "label": list[str] | None,
}
_ADAPTING = ("adapt_to", "adaptation", "target_labels")
LEFT_OUT = {  # flags that a command has no use for
    "rank": {"track", "head", "tta", *_ADAPTING},
    "cache_features": {"track", "head", "tta", "metric", *_ADAPTING},
    "export_features": {
        *_ADAPTING,
        *(
            "track",
            "head",
            "seeds",
            "judge",
            "metric",
            "scratch",
            "evidence",
            "cache",
            "epochs",
            "learning_rate",
        ),
        *("augment", "views", "class_weights", "tta"),
    },
    "pretrain": {"head", *_ADAPTING},
}


def takes_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Replace a command's `settings` parameter by one flag per field of Settings.

    The command then gets `settings`, a function that makes them: it raises HeadstartError for a
    value that can't be read, so it is to be called where errors are answered.
    """
    hints = get_type_hints(command, include_extras=True)
    own = [p.replace(annotation=hints[p.name]) for p in signature(command).parameters.values()]
    left_out = LEFT_OUT.get(command.__name__, set())
    flags = [field for field in fields(Settings) if field.name not in left_out]

    @wraps(command)
    def with_flags(**given: Any) -> None:
        texts = {field.name: given.pop(field.name) for field in flags}
        trusted = given.pop(_TRUST.name)
        command(**given, settings=lambda: _settings(texts, trusted))

    parameters = (
        [p for p in own if p.name != "settings"] + [_flag(field) for field in flags] + [_TRUST]
    )
    shown = signature(command).replace(parameters=parameters, return_annotation=None)
    with_flags.__signature__ = shown  # type: ignore[attr-defined]  # typer reads the flags off it
    with_flags.__annotations__ = {p.name: p.annotation for p in parameters}
    return with_flags


def demand_data(data: str | None) -> str:
    """The data set's place. Raises HeadstartError where none was given."""
    if data is None:
        raise HeadstartError("No data set was given. Name a folder of classes or a manifest.")
    return data


def demand_plan_alone(settings: Settings, backbone: object, strategy: object) -> None:
    """Raise HeadstartError for what contradicts a plan, which says all of it."""
    if backbone or strategy or replace(settings, offline=False, track=None) != Settings():
        raise HeadstartError(
            "A plan says backbone, strategy and settings, and others were given too. "
            "Leave them out, or leave out --plan."
        )


def _settings(texts: dict[str, Any], trusted: list[str] | None) -> Settings:
    for repository in trusted or ():
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
            raise HeadstartError(
                f"--trust {repository} is not OWNER/REPOSITORY. Name one as GitHub does."
            )
    if trusted:
        before = os.environ.get(REPOSITORIES, "")
        os.environ[REPOSITORIES] = ",".join([before, *trusted]).lstrip(",")
    if texts["offline"]:  # read by the hub's library when it is imported
        os.environ["HF_HUB_OFFLINE"] = "1"
    budget = texts["budget"]
    return Settings(
        **{
            **texts,
            "budget": None if budget is None else seconds(budget),
            "text": tuple(texts["text"] or ()),
            "label": joined(texts["label"]),
        }
    )


def joined(labels: list[str] | None) -> str | None:
    """The label columns that were named, with commas between."""
    return ",".join(labels) if labels else None


def _flag(field: Field[Any]) -> Parameter:
    kind = READ_AS.get(field.name) or get_type_hints(Settings)[field.name]
    flag = "--" + field.name.replace("_", "-")
    if kind is bool:
        flag = f"{flag}/--no-{field.name}" if field.default else flag
    option = typer.Option(flag, help=HELP[field.name], show_default=field.default is not None)
    if field.default is MISSING:
        raise TypeError(f"Settings.{field.name} needs a default to become a flag")
    return Parameter(
        field.name,
        Parameter.KEYWORD_ONLY,
        default=field.default or None if field.name in READ_AS else field.default,
        annotation=Annotated[kind, option],
    )
