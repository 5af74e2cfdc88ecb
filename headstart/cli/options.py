"""How a function that answers becomes a command: its flags, those of Settings among them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import MISSING, Field, fields, replace
from functools import cache, wraps
from inspect import Parameter, signature
from typing import Annotated, Any, get_type_hints

import typer

from headstart.cli.answers import Answer, Incomplete, answer
from headstart.defaults import Settings, label_columns
from headstart.errors import HeadstartError
from headstart.runtime.budget import seconds
from headstart.runtime.progress import Progress
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
    "label": "The column of labels, several of 0 and 1 or numbers each, or name:1 of files' names.",
    "text": "The manifest's column that holds the text; give it twice for pairs of texts.",
    "image": "The manifest's column that holds the paths of pictures.",
    "source": "The manifest's column of texts to translate, such as en.",
    "target": "The manifest's column of texts that are the answers, such as uk.",
    "drop": "A column that rows of a table are read without; may be repeated.",
    "sources": "Another labelled table to learn from, where rows are few; may be repeated.",
    "map": "A YAML file: which columns of those tables are which; absent, one is proposed.",
    "class_level": "Which folders are the classes where they are nested: 1 for the first, 2 below.",
    "targets": "What the labels are: auto, classes, numbers, label-sets, or what a package adds.",
    "missing": "Words, with commas between, that stand for no label in place of NaN, NA, None, …",
    "delimiter": "What stands between the labels of one item, where it may have several.",
    "group": "The manifest's column of groups, which stay together; the report says the worst.",
    "adapt_to": "Data of another domain that need no labels: answer on them, and weigh the worth.",
    "adaptation": "How, with --adapt-to: auto, 'source only', mcc, standardisation, coral, t3a, …",
    "target_labels": "A table of a few labels of that domain to choose by: label-next.csv, filled.",
    "joint": "Several tasks train one network, losses weighed: equal, or by learned uncertainty.",
    "metric": "What models are chosen and judged by, such as macro-f1, auroc or mae.",
    "offline": "Open no connection.",
    "on": "local, ray, or ray:ADDRESS of a cluster: where features and trials are computed.",
    "workers": "Processes there that compute at once; absent, one for each core.",
    "track": "Follow the run in mlflow, tensorboard or wandb.",
}


_FIELDS = {field.name: field for field in fields(Settings)}
Offline = Annotated[bool, typer.Option("--offline", help=HELP["offline"])]
_KEYWORD = Parameter.KEYWORD_ONLY
_OFFLINE = Parameter("offline", _KEYWORD, default=False, annotation=Offline)
_JSON = Parameter(
    "as_json",
    _KEYWORD,
    default=False,
    annotation=Annotated[
        bool, typer.Option("--json", help="Print one JSON object on standard output.")
    ],
)
_TRUST = Parameter(
    "trust",
    _KEYWORD,
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
    "drop": list[str] | None,
    "sources": list[str] | None,
    "label": list[str] | None,
}
_FLAGS = {"sources": "--from"}  # which no name in Python can be
_SOURCES = ("sources", "map")
_OF_FIT = ("adapt_to", "adaptation", "target_labels", "joint")
LEFT_OUT = {  # flags that a command has no use for
    "rank": {"track", "head", "tta", *_OF_FIT},
    "cache_features": {"track", "head", "tta", "metric", *_OF_FIT, *_SOURCES},
    "export_features": {
        *_OF_FIT,
        *_SOURCES,
        *("track", "head", "seeds", "judge", "metric", "scratch", "evidence", "cache"),
        *("epochs", "learning_rate", "augment", "views", "class_weights", "tta"),
    },
    "plan": {
        *_OF_FIT,
        *_SOURCES,
        *("track", "head", "seeds", "judge", "metric", "scratch", "evidence", "cache", "budget"),
        *("epochs", "learning_rate", "augment", "views", "class_weights", "tta"),
    },
    "pretrain": {"head", *(name for name in _OF_FIT if name != "joint"), *_SOURCES},
    "shift": {
        *_OF_FIT,
        *_SOURCES,
        *("track", "head", "seeds", "judge", "budget", "scratch", "evidence", "epochs"),
        *("batch_size", "learning_rate", "augment", "views", "tta", "metric", "class_weights"),
    },
}
LOCAL = {"backbones", "strategies", "doctor", "cache", "demo"}  # commands that open no connection


def command(work: Callable[..., Answer | Incomplete]) -> Callable[..., None]:
    """A command of the program from a function that answers, with a flag for each parameter.

    Parameter `settings` becomes a flag for each field of Settings, a mapping whose type names some
    one for each of these, `progress` none; `--json` is added, and `--offline` where a connection
    might be opened. Flags are read where errors are answered.
    """
    accepted = signature(work).parameters
    groups = dict(_groups(work))
    left_out = LEFT_OUT.get(work.__name__, set())
    settings = [name for name in _FIELDS if name not in left_out] if "settings" in accepted else []
    bare = settings or "offline" in accepted or work.__name__ in LOCAL
    parameters = [*_own(work), *([] if bare else [_OFFLINE]), _JSON]
    parameters += [*(_flag(_FIELDS[name]) for name in settings), *([_TRUST] if settings else [])]

    @wraps(work)
    def run(**values: Any) -> None:
        def answers(progress: Progress) -> Answer | Incomplete:
            keep_offline(values.get("offline", False))
            own = {name: value for name, value in values.items() if name in accepted}
            for group, names in groups.items():
                own[group] = _read({name: values[name] for name in names})
            if settings:
                texts = {name: values[name] for name in settings}
                own["settings"] = _settings(texts, values[_TRUST.name])
            return work(**own, progress=progress)

        answer(values["as_json"], answers)

    typed_signature = signature(work).replace(parameters=parameters, return_annotation=None)
    run.__signature__ = typed_signature  # type: ignore[attr-defined]  # typer reads the flags off it
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    return run


def _groups(work: Callable[..., Any]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The parameters that are mappings of fields of Settings, and the names of these."""
    for name, hint in get_type_hints(work, include_extras=True).items():
        if isinstance(getattr(hint, "__metadata__", ("",))[0], tuple):
            yield name, hint.__metadata__[0]


def _own(work: Callable[..., Any]) -> Iterator[Parameter]:
    """The parameters of a function as flags, groups as the fields that they name."""
    hints, groups = get_type_hints(work, include_extras=True), dict(_groups(work))
    for each in signature(work).parameters.values():
        if each.name in groups:
            yield from (_flag(_FIELDS[name]) for name in groups[each.name])
        elif each.name not in ("settings", "progress"):
            yield each.replace(annotation=hints[each.name], kind=_KEYWORD)


def keep_offline(offline: bool) -> None:
    """Let no hub open a connection; their libraries read this when they are imported."""
    if offline:
        os.environ["HF_HUB_OFFLINE"] = "1"


def flag_of(name: str) -> str:
    """A setting as it is written in the shell."""
    return _FLAGS.get(name, "--" + name.replace("_", "-"))


def demand_data(data: str | None) -> str:
    """The data set's place. Raises HeadstartError where none was given."""
    if data is None:
        raise HeadstartError("No data set was given. Name a folder of classes or a manifest.")
    return data


def sources(data: str | None, tasks: Sequence[str] | None) -> Any:
    """The data set's place, or those of several tasks. Raises HeadstartError for no NAME=DATA."""
    if not tasks:
        return demand_data(data)
    from headstart.pipeline.several.members import Tasks

    sets: dict[str, str] = {}
    for text in tasks:
        name, equals, place = text.partition("=")
        if not (equals and name.strip() and place):
            raise HeadstartError(f"--task {text} names no task's data. Give NAME=DATA.")
        if name in sets:
            raise HeadstartError(
                f"--task {name} was given twice. Give each task a name of its own."
            )
        sets[name] = place
    return Tasks(sets, data)


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
    return Settings(**_read(texts))


def _read(values: dict[str, Any]) -> dict[str, Any]:
    """What flags say, as Settings and the flow take it."""
    readers: dict[str, Callable[[Any], Any]] = {
        "budget": lambda text: None if text is None else seconds(text),
        "text": lambda names: tuple(names or ()),
        "drop": lambda names: tuple(names or ()),
        "sources": lambda names: tuple(names or ()),
        "label": lambda names: label_columns(names) if names else None,
    }
    return {name: readers.get(name, lambda value: value)(value) for name, value in values.items()}


@cache
def _kinds() -> dict[str, Any]:
    """The types of all settings, read once for all commands, as reading them is slow."""
    return get_type_hints(Settings)


def _flag(field: Field[Any]) -> Parameter:
    kind = READ_AS.get(field.name) or _kinds()[field.name]
    flag = flag_of(field.name)
    if kind is bool:
        flag = f"{flag}/--no-{field.name}" if field.default else flag
    option = typer.Option(flag, help=HELP[field.name], show_default=field.default is not None)
    if field.default is MISSING:
        raise TypeError(f"Settings.{field.name} needs a default to become a flag")
    return Parameter(
        field.name,
        _KEYWORD,
        default=field.default or None if field.name in READ_AS else field.default,
        annotation=Annotated[kind, option],
    )
