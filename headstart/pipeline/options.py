"""The settings as keyword arguments of whatever runs: `epochs=3`, `budget="10m"`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from types import NoneType
from typing import Any, TypedDict, get_args, get_type_hints

from headstart.defaults import Settings, label_columns
from headstart.errors import HeadstartError, UnknownNameError
from headstart.runtime.budget import seconds


class Options(TypedDict, total=False):
    """What each says stands beside the fields of `headstart.Settings`.

    `budget` is in seconds, or a duration such as "90s" or "1h30m"; `text` and `label` are the name
    of a column, or those of several.
    """

    seed: int
    seeds: int | None
    judge: str
    budget: float | str | None
    scratch: bool
    evidence: str
    cache: bool
    epochs: int | None
    batch_size: int | None
    learning_rate: float | None
    precision: str
    engine: str
    device: str
    augment: str
    tta: str
    views: int
    class_weights: str
    head: str
    label: str | Sequence[str] | None
    text: str | Sequence[str]
    image: str | None
    source: str | None
    target: str | None
    drop: str | Sequence[str]
    sources: str | Sequence[str]
    map: str | None
    class_level: int | None
    targets: str
    delimiter: str | None
    missing: str | None
    adapt_to: Any
    adaptation: str
    target_labels: str | None
    joint: str
    metric: str | None
    group: str | None
    offline: bool
    on: str
    workers: int | None
    track: str | None


def settings_of(settings: Settings | None, options: Mapping[str, Any]) -> Settings:
    """The settings with those that are given by name, which count first.

    Raises UnknownNameError for a name that is none, and HeadstartError for a value of another kind.
    """
    demand_known(options, (field.name for field in fields(Settings)))
    values = {name: _value(name, value) for name, value in options.items()}
    hints = get_type_hints(Settings)
    for name, value in values.items():
        if not _fits(value, hints[name]):
            raise HeadstartError(
                f"{name} {value!r} is of type {type(value).__name__}, which it can't be. "
                f"Give {_written(hints[name])}."
            )
    whole = replace(settings or Settings(), **values)
    if not whole.sources:
        return whole
    places = tuple(map(os.path.abspath, whole.sources))  # as a plan is repeated from anywhere
    return replace(whole, sources=places, map=whole.map and os.path.abspath(whole.map))


def demand_known(options: Mapping[str, Any], choices: Any) -> None:
    """Raise UnknownNameError for the first keyword that is none of those known."""
    names = set(choices)
    for name in options:
        if name not in names:
            raise UnknownNameError("option", name, names)


def _value(name: str, value: Any) -> Any:
    if name == "budget" and isinstance(value, str):
        return seconds(value)
    if name in ("text", "drop", "sources"):
        return (value,) if isinstance(value, str) else tuple(value or ())
    if name == "label" and isinstance(value, list | tuple):
        return label_columns([*map(str, value)])
    return value


def _fits(value: Any, hint: Any) -> bool:
    kinds = get_args(hint) or (hint,)
    if isinstance(value, bool):
        return bool in kinds
    if float in kinds and isinstance(value, int):
        return True
    if isinstance(value, tuple):
        return str in kinds and all(isinstance(each, str) for each in value)
    return isinstance(value, tuple(kind for kind in kinds if isinstance(kind, type)))


def _written(hint: Any) -> str:
    words = {int: "a whole number", float: "a number", str: "text", bool: "True or False"}
    kinds = [kind for kind in get_args(hint) or (hint,) if kind is not NoneType]
    return " or ".join(words.get(kind, "names") for kind in kinds if kind is not Ellipsis)
