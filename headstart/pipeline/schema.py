"""How settings say that a data set is to be read."""

from __future__ import annotations

from headstart import catalog
from headstart.contracts.entry_points import advertised
from headstart.data import Schema
from headstart.defaults import Settings
from headstart.errors import HeadstartError


def schema(settings: Settings) -> Schema:
    """How the settings say that a manifest is to be read."""
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
