"""Classes that the names of files say: `cat.0.jpg`, `3_theo_12.wav`."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from headstart.contracts.labels import several
from headstart.data.grouping import part_by_folder
from headstart.data.names import split_of, without_count
from headstart.data.sources import SPLITS, Contents, FileSource, Row
from headstart.data.tables import READ, SUFFIXES, known_refusal
from headstart.data.trees import Folder
from headstart.errors import DataError

_NAMED = re.compile(r"name:(\d\d?)")
_SIGNS = re.compile(r"[\W_]+")
_MOST = 0.5  # of the items have a name of their own, from which on names are no classes
_MOST_LISTS = 3  # files of a folder, of which one may list its items
_PAPERS = re.compile(r"readme|licen[cs]e|requirements|package|dataset_infos?", re.IGNORECASE)


def label_part(label: str | None) -> int | None:
    """Which part of a file's name is its label, as `name:2` says; 0 for all but its number."""
    match = _NAMED.fullmatch(label or "")
    return int(match[1]) if match else None


def from_names(path: Path, tree: Folder, part: int) -> Contents:
    """Every item in a folder, of the class that a part of its file's name says.

    Folders called after splits name them. Raises DataError where no name has such a part.
    """
    rows = []
    names = {split_of(folder.name): folder.name for folder in tree.full}
    names_splits = "train" in names and len(names) > 1 and set(names) <= set(SPLITS)
    for way in tree.every():
        file = tree.path.joinpath(*way)
        split = split_of(way[0]) if names_splits and len(way) > 1 else None
        rows.append(
            Row("/".join(way), str(file), _class_of(way[-1], part), split, FileSource(file))
        )
    if not any(row.value for row in rows):
        raise DataError(
            f"{path} has no file with {f'a part {part}' if part else 'a word'} in its name. Give "
            "--label name:1, or another part that the names have."
        )
    remark = f"part {part} of" if part else "all but the number at the end of"
    return Contents(
        path,
        tuple(rows),
        kind="classes",
        column="value",
        split_names={s: n for s, n in names.items() if s} if names_splits else {},
        remarks=(f"{remark} a file's name is its class",),
    )


def advice(top: Folder) -> str:
    """What to do where no folder names a class, by what lies there."""
    ways = top.every()
    words = Counter(filter(None, (_class_of(way[-1], 0) for way in ways)))
    hints = ["list the files with their labels in a labels.csv there"]
    part, group = _telling_part(ways), part_by_folder(ways)
    if part:
        shown = several([*map(repr, sorted({_class_of(way[-1], part) or "" for way in ways}))])
        together = f" (--group name:{group} keeps each folder's files together)" if group else ""
        hints.append(f"take the part that says {shown} by --label name:{part}{together}")
    elif any(map(str.isdigit, "".join(words))) or (not words and _class_of(ways[0][-1], 1)):
        hints.append("name the part of the files' names that says the class, as --label name:1")
    elif 1 < len(words) <= _MOST * words.total():
        shown = several([*map(repr, sorted(words))])
        hints.append(f"take the files' names by --label name:0, which say {shown}")
    tables = list(_may_list(top))
    if 0 < len(tables) <= _MOST_LISTS:
        hints.append(f"give {tables[0]} itself, if that lists them")
    refused = next((name for name in top.others if known_refusal(top.path / name)), None)
    if refused:
        hints.append(f"save what {refused} says as such a table")
    return (
        f"Make one folder per class, {''.join(f'{hint}, ' for hint in hints[:-1])}or {hints[-1]}."
    )


def _telling_part(ways: Sequence[tuple[str, ...]]) -> int | None:
    """The part of files' names with most values that come again in a folder and in others.

    None where files lie in one folder, or their names have not the same number of parts.
    """
    names = [
        ([each for each in _SIGNS.split(Path(way[-1]).stem) if each], way[:-1]) for way in ways
    ]
    counts = {len(parts) for parts, _ in names}
    best: tuple[int, int] = (1, 0)
    for place in range(max(counts) if len(counts) == 1 else 0):
        folders: defaultdict[str, set[tuple[str, ...]]] = defaultdict(set)
        for parts, folder in names:
            folders[parts[place]].add(folder)
        of_folders = sum(map(len, folders.values()))
        shared = sum(len(own) > 1 for own in folders.values()) > len(folders) / 2
        if shared and of_folders <= _MOST * len(names):
            best = max(best, (len(folders), -place))
    return 1 - best[1] if best[0] > 1 else None


def _may_list(top: Folder) -> Iterator[Path]:
    """Files beside the items that are read as tables only where they are named."""
    for name in top.others:
        if Path(name).suffix.lower() in READ - SUFFIXES and not _PAPERS.match(name):
            yield top.path / name


def _class_of(name: str, part: int) -> str | None:
    stem = Path(name).stem
    if not part:
        word = without_count(stem)
        return word if re.search(r"[^\W\d_]", word) else None
    parts = [each for each in _SIGNS.split(stem) if each]
    return parts[part - 1] if 1 < len(parts) >= part else None
