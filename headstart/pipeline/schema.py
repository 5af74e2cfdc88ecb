"""How settings say that a data set is to be read."""

from __future__ import annotations

from dataclasses import replace

from headstart import catalog
from headstart.contracts.entry_points import advertised
from headstart.contracts.metric import SEQUENCES
from headstart.data import Schema
from headstart.defaults import Settings
from headstart.errors import HeadstartError


def schema(settings: Settings) -> Schema:
    """How the settings say that a manifest is to be read."""
    settings = _with_pairs(settings)
    kind = None if settings.targets == "auto" else _kind(settings.targets)
    return Schema(
        label=settings.label,
        content=settings.text,
        kind=kind,
        delimiter=settings.delimiter,
        group=settings.group,
        files=settings.image,
        missing=settings.missing,
        class_level=settings.class_level,
        drop=settings.drop,
    )


def _with_pairs(settings: Settings) -> Settings:
    """Columns of source and target as those of text and label.

    Raises HeadstartError where columns are named in both ways, or labels are of another kind.
    """
    if settings.target is None and settings.source is None:
        return settings
    if settings.target is None:
        raise HeadstartError(
            f"--source {settings.source} names texts without what they are translated to. "
            "Give --target, too."
        )
    columns = {"label": settings.label, "text": settings.source and settings.text}
    twice = next((name for name, value in columns.items() if value), None)
    if twice or settings.source == settings.target:
        other = f"--{twice} {columns[twice]}" if twice == "label" else f"--{twice or 'source'}"
        raise HeadstartError(
            f"--target {settings.target} and {other} can't both be. Give --source and --target, "
            "each with a column of its own."
        )
    if settings.targets not in ("auto", SEQUENCES):
        raise HeadstartError(
            f"--target {settings.target} is a column of texts, and --targets {settings.targets} "
            "asks for other answers. Give --label for those."
        )
    text = (settings.source,) if settings.source else settings.text
    return replace(settings, label=settings.target, text=text, targets=SEQUENCES)


def demand_targets(targets: str) -> None:
    """Raise HeadstartError for a kind of target, or a task without its modality, not known."""
    own = ("auto", *(name.replace(" ", "-") for name in catalog.TARGETS))
    if targets in own:
        return
    tasks = {name.partition("-")[2] for name in advertised("tasks")}
    others = sorted({*advertised("targets"), *tasks})
    if targets not in others:
        raise HeadstartError(
            f"targets {targets!r} is not known. Give one of {', '.join([*own, *others])}."
        )


def _kind(targets: str) -> str:
    """The kind of target that a user's word means: one of that name, or that of such a task."""
    tasks = (name for name in catalog.names("tasks") if name.partition("-")[2] == targets)
    task = next(tasks, None)
    if task is None:
        return targets if targets in catalog.names("targets") else targets.replace("-", " ")
    kind: str = catalog.part("tasks", task).kind
    return kind
