"""Groups that the names of files give away: a speaker, a kit, a patient."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Final

from headstart.data.names import split_of
from headstart.data.sources import Contents, Item
from headstart.errors import DataError

_NAMED: Final = re.compile(r"name:([1-9]\d?)")
_FEWEST: Final = 4  # items of a group, half of which have more
_SHOWN: Final = 3  # groups in a sentence


def part_of(group: str | None) -> int | None:
    """Which part of a file's name is its group, from 1 on, where `name:2` or the like says so."""
    match = _NAMED.fullmatch(group or "")
    return int(match[1]) if match else None


def grouped(contents: Contents, part: int) -> Contents:
    """The same, each row in the group that a part of its file's name says.

    Raises DataError for a name that has no such part.
    """
    names = [_stem(row.id) for row in contents.rows]
    sign = _sign(names)
    rows = []
    for row, name in zip(contents.rows, names, strict=True):
        parts = name.split(sign)
        if part > len(parts) or "#" in row.id:
            raise DataError(
                f"{row.id} has no part {part} in its name, as --group name:{part} says. "
                "Name a column of groups, or a part that all names have."
            )
        rows.append(replace(row, group=parts[part - 1]))
    return replace(contents, rows=tuple(rows))


def part_by_folder(ways: Sequence[tuple[str, ...]]) -> int | None:
    """The part of files' names that is one in each folder and another in each, from 1 on."""
    names = [_stem(way[-1]) for way in ways]
    sign = _sign(names)
    parts = [name.split(sign) for name in names]
    folders = {way[:-1] for way in ways}
    for place in range(min(map(len, parts), default=0)) if len(folders) > 1 else ():
        pairs = {(way[:-1], own[place]) for way, own in zip(ways, parts, strict=True)}
        if len(pairs) == len(folders) == len({value for _, value in pairs}):
            return place + 1
    return None


def proposal(items: Sequence[Item]) -> tuple[str, ...]:
    """A sentence where files' names hold what looks like groups, and none are known; else none.

    A part looks so that says words, a few of them, each of several files and more than one label.
    """
    if any(item.group or "#" in item.id for item in items) or len(items) < 2 * _FEWEST:
        return ()
    names = [_stem(item.id) for item in items]
    sign = _sign(names)
    parts = [name.split(sign) for name in names]
    if len({len(each) for each in parts}) != 1 or len(parts[0]) < 2:
        return ()
    for place, values in enumerate(zip(*parts, strict=True), 1):
        if None in map(split_of, values) and _are_groups(values, [item.label for item in items]):
            examples = ", ".join(f"`{value}`" for value in sorted(set(values))[:_SHOWN])
            return (
                f"File names hold {examples} and the like, each in several files: if these are "
                "speakers, kits or other groups, a score on other files of them says little of new "
                f"ones. Keep each on one side with --group name:{place}.",
            )
    return ()


def _are_groups(values: Sequence[str], labels: Sequence[str]) -> bool:
    counts = Counter(values)
    labels_of: defaultdict[str, set[str]] = defaultdict(set)
    for value, label in zip(values, labels, strict=True):
        labels_of[value].add(label)
    several = sum(len(own) > 1 for own in labels_of.values())
    usual = sorted(counts.values())[len(counts) // 2]
    words = all(re.search(r"[^\W\d_]", value) for value in counts)
    return words and 1 < len(counts) and usual >= _FEWEST and several > len(counts) / 2


def _stem(name: str) -> str:
    return PurePosixPath(name).stem


def _sign(names: Iterable[str]) -> str:
    """What parts of names stand apart by."""
    return "_" if all("_" in name for name in names) else "-"
