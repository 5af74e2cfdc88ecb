"""Which tasks a run has: label columns of one data set, or data sets of their own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, final

from headstart.contracts import Modality
from headstart.contracts.cells import is_blank, mark
from headstart.data import Data, data_of
from headstart.data.items import find
from headstart.data.schema import Schema
from headstart.data.sources import Contents
from headstart.data.targets import kind_named, kind_of, settle
from headstart.defaults import GROUPS, Settings
from headstart.errors import HeadstartError
from headstart.pipeline.schema import schema
from headstart.runtime.progress import Progress

APART: Final = "several"  # as --targets: every label column is a task
_OWN = ("targets", "metric", "delimiter", "label", "image", "group", "missing")


@final
@dataclass(frozen=True)
class Tasks:
    """What stands in the place of data where a run has several tasks.

    `tasks` are data sets by name, or label columns of the data `of`.
    """

    tasks: Mapping[str, Any] | Sequence[str]
    of: Any = None


@final
@dataclass(frozen=True)
class Member:
    """One of several tasks: its data, and the settings that a fit of it alone has.

    `kind` is what its labels were seen to be, empty where nobody looked yet.
    """

    name: str
    data: Data
    settings: Settings
    kind: str = ""


def of_sets(tasks: Mapping[str, Any], settings: Settings) -> list[Member]:
    """A task for each data set. Raises HeadstartError for fewer than two, or a name that is none"""
    demand_several(tasks)
    _demand_names(tasks)
    shared = [name for name in tasks if tasks[name] is None]
    if shared:
        raise HeadstartError(f"Task {shared[0]!r} names no data set. Give NAME=DATA.")
    names = list(tasks)
    return [Member(name, data_of(tasks[name]), own(settings, name, names)) for name in names]


def demand_several(tasks: Sequence[str] | Mapping[str, Any]) -> None:
    """Raise HeadstartError for fewer than two."""
    if len(tasks) < 2:
        raise HeadstartError(
            f"{len(tasks)} task was named, and several make a model of several tasks. Name more, "
            "or give the data set alone."
        )


def of_labels(
    data: Data, modality: Modality, settings: Settings, progress: Progress
) -> list[Member]:
    """A task for each label column, or group of them; none where they make one task together."""
    label = settings.label or ""
    explicit = GROUPS in label
    groups = [group.strip() for group in label.split(GROUPS if explicit else ",")]
    plain = replace(settings, label=",".join(groups), targets="auto", delimiter=None)
    contents = find(data, modality, schema(plain))
    if len(contents.columns) < 2:
        return []
    by_name = {group: _columns(contents, group) for group in groups} if explicit else None
    by_name = by_name or {name: [name] for name in contents.columns}
    _demand_names(by_name)
    members = [
        _member(data, contents, (name, columns), own(settings, name, list(by_name)))
        for name, columns in by_name.items()
    ]
    apart = explicit or settings.targets == APART
    if not apart and are_one_task(contents):
        if len({each.kind for each in members}) > 1:
            progress.say(
                f"{', '.join(by_name)} hold numbers and are read as one task (--targets several "
                "makes each a task of its own)."
            )
        return []
    if modality.whole_rows:  # in which no label is an input of another task
        dropped = (*settings.drop, *contents.columns)
        return [replace(each, settings=replace(each.settings, drop=dropped)) for each in members]
    content = {"text": contents.content} if modality.inline else {"image": contents.content[0]}
    return [replace(each, settings=replace(each.settings, **content)) for each in members]


def _member(
    data: Data, contents: Contents, task: tuple[str, Sequence[str]], settings: Settings
) -> Member:
    name, columns = task
    places = [contents.columns.index(column) for column in columns]
    sign = settings.delimiter
    parted = sign and any(sign in str(c) for place in places for c in cells(contents, place))
    settings = replace(settings, label=",".join(columns), delimiter=sign if parted else None)
    return Member(name, data, settings, kind_alone(alone(contents, columns), schema(settings)))


def _columns(contents: Contents, group: str) -> list[str]:
    return [group] if group in contents.columns else [each.strip() for each in group.split(",")]


def own(settings: Settings, name: str, names: Sequence[str]) -> Settings:
    """The settings for one of several tasks: of `stars=numbers,tags=classes` what is its own.

    What names no task is for all of them.
    """
    options: dict[str, Any] = {}
    begins = "|".join(re.escape(each) for each in sorted(names, key=len, reverse=True))
    pattern = re.compile(rf"(?:^|,)({begins})=")
    for field in _OWN:
        value = getattr(settings, field)
        matches = list(pattern.finditer(value)) if isinstance(value, str) else []
        if not matches or matches[0].start():
            continue
        ends = [each.start() for each in matches[1:]] + [len(value)]
        values = {each[1]: value[each.end() : end] for each, end in zip(matches, ends, strict=True)}
        options[field] = values.get(name, getattr(Settings(), field))
    targets = options.get("targets", settings.targets)
    return replace(settings, **{**options, "targets": "auto" if targets == APART else targets})


def folders(names: Iterable[str]) -> dict[str, str]:
    """A folder's name for each task, which holds no sign that a file's name can't."""
    from headstart.report.page import FILE as PAGE

    used, folder_of = {PAGE.lower()}, {}
    for name in names:
        plain = re.sub(r"[^\w.-]+", "-", name).strip("-.")[:60] or "task"
        choices = (plain, *(f"{plain}-{number}" for number in range(2, 10_000)))
        folder_of[name] = next(each for each in choices if each.lower() not in used)
        used.add(folder_of[name].lower())
    return folder_of


def _demand_names(names: Iterable[str]) -> None:
    for name in names:
        if not name.strip() or not name.isprintable():
            raise HeadstartError(f"{name!r} is no name for a task. Give letters.")


def alone(contents: Contents, columns: Sequence[str]) -> Contents:
    """Of what several label columns were read of, what some of them say."""
    places = [contents.columns.index(name) for name in columns]

    def own(value: Any) -> Any:
        cells = tuple(value[place] for place in places) if value is not None else None
        return cells[0] if cells and len(cells) == 1 else cells

    rows = tuple(replace(row, value=own(row.value)) for row in contents.rows)
    return replace(contents, rows=rows, columns=tuple(columns), column=",".join(columns))


def kind_alone(contents: Contents, schema: Schema) -> str:
    """The kind of target that label columns are of by themselves. Raises DataError for none."""
    kind = kind_named(schema.kind) if schema.kind else None
    return kind_of(settle(contents, schema, kind), schema).name


def are_one_task(contents: Contents) -> bool:
    """Whether several columns are read together, as all hold numbers, or 0 and 1.

    Most of their cells say so: another is then a mistake, of which the row is named.
    """
    return all(_holds_numbers(cells(contents, n)) for n in range(len(contents.columns)))


def _holds_numbers(column: Iterator[Any]) -> bool:
    whole = [cell for cell in column if not is_blank(cell)]
    return 2 * sum(mark(cell) is not None for cell in whole) >= len(whole)


def cells(contents: Contents, place: int) -> Iterator[Any]:
    """What stands in one of several label columns."""
    return (row.value[place] for row in contents.rows if row.value is not None)
