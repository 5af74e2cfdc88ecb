"""Groups that files' names and folders give away: a speaker, a kit, a patient."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Final

from headstart.contracts.cells import is_blank
from headstart.data.names import names_owner, split_of
from headstart.data.sources import Contents, Item
from headstart.data.tables.interface import ItemTable
from headstart.errors import DataError

_NAMED: Final = re.compile(r"(name|folder):([1-9]\d?)")
_FEWEST: Final = 4  # items of a group, half of which have more
_ENOUGH: Final = 4  # groups, from which on each can be kept in one of three splits
_SHOWN: Final = 3  # groups in a sentence


def place_of(group: str | None) -> tuple[str, int] | None:
    """Where a file's path says its group: `name:2` its name's second part, `folder:1` a folder."""
    match = _NAMED.fullmatch(group or "")
    return (match[1], int(match[2])) if match else None


def grouped(contents: Contents, place: tuple[str, int]) -> Contents:
    """The same, each row in the group that a part of its file's name, or a folder, says.

    Folders count from below the data set's. Raises DataError for a path that has no such part.
    """
    where, part = place
    names = [_stem(row.id) for row in contents.rows]
    sign = _sign(names)
    rows = []
    for row, name in zip(contents.rows, names, strict=True):
        parts = name.split(sign) if where == "name" else PurePosixPath(row.id).parts[:-1]
        if part > len(parts) or "#" in row.id:
            lacks = f"no part {part} in its name" if where == "name" else f"no folder {part} above"
            raise DataError(
                f"{row.id} has {lacks}, as --group {where}:{part} says. "
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


def owner_column(table: ItemTable, excluded: Sequence[str | None]) -> str:
    """The first column that by its name says to whom rows belong, each to several; else empty."""
    for name in table.names:
        if name in excluded or not names_owner(name):
            continue
        counts = Counter(str(value) for value in table.values(name) if not is_blank(value))
        if len(counts) > 1 and sorted(counts.values())[len(counts) // 2] > 1:
            return name
    return ""


def proposal(items: Sequence[Item], column: str = "") -> tuple[str, ...]:
    """A sentence where a table or files' paths hold what looks like groups, and none are known.

    A table's `column` was found so by its name. A folder or a part of the files' names looks so
    that says words, a few of them, each of several files and more than one label.
    """
    if any(item.group for item in items) or len(items) < 2 * _FEWEST:
        return ()
    if column:
        return (
            f"`{column}` has values that come in several rows: if these are people or other "
            "groups, a score on other rows of them says little of new ones. Keep each on one side "
            f"with --group {column}.",
        )
    if any("#" in item.id for item in items):
        return ()
    labels = [item.label for item in items]
    folders = [PurePosixPath(item.id).parts[:-1] for item in items]
    splits = [item.split for item in items]
    for where, what, each in (
        ("folder", "Folders are called", folders),
        ("name", "File names hold", _parted([_stem(item.id) for item in items])),
    ):
        for place, values in enumerate(zip(*each, strict=False), 1):
            part = None not in map(split_of, values) or _names_split(values, splits)
            if not part and _are_groups(values, labels):
                different = sorted(set(values))
                examples = ", ".join(f"`{value}`" for value in different[:_SHOWN])
                enough = len(different) >= _ENOUGH
                advice = "Keep each on one side" if enough else "Have each reported by itself"
                return (
                    f"{what} {examples} and the like, each in several files: if these are "
                    "speakers, kits or other groups, a score on other files of them says little of "
                    f"new ones. {advice} with --group {where}:{place}.",
                )
    return ()


def _names_split(values: Sequence[str], splits: Sequence[str | None]) -> bool:
    """Whether all items held out, and no others, have values of their own."""
    held_out, others = (
        {value for value, split in zip(values, splits, strict=True) if (split == "test") is there}
        for there in (True, False)
    )
    return bool(held_out) and held_out.isdisjoint(others)


def _parted(names: Sequence[str]) -> list[tuple[str, ...]]:
    """The parts of names, where all have as many, and more than one; else none."""
    sign = _sign(names)
    parts = [tuple(name.split(sign)) for name in names]
    alike = len({len(each) for each in parts}) == 1 and len(parts[0]) > 1
    return parts if alike else [()] * len(names)


def _are_groups(values: Sequence[str], labels: Sequence[str]) -> bool:
    counts = Counter(values)
    labels_of: defaultdict[str, set[str]] = defaultdict(set)
    for value, label in zip(values, labels, strict=True):
        labels_of[value].add(label)
    several = sum(len(own) > 1 for own in labels_of.values())
    usual = sorted(counts.values())[len(counts) // 2]
    words = all(re.search(r"[^\W\d_]", value) for value in counts)
    words = words and max(map(len, counts)) > 1  # letters alone tell takes apart, or channels
    return words and 1 < len(counts) and usual >= _FEWEST and several > len(counts) / 2


def _stem(name: str) -> str:
    return PurePosixPath(name).stem


def _sign(names: Iterable[str]) -> str:
    """What parts of names stand apart by."""
    return "_" if all("_" in name for name in names) else "-"
