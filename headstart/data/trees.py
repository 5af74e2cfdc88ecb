"""The folders under a place, walked once: what lies in each."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

from headstart.contracts import Modality
from headstart.data.names import passed_over, split_in, splits_among
from headstart.data.tables import SUFFIXES
from headstart.errors import DataError

OURS = frozenset({"headstart.json", "evidence.json"})  # a folder with one of them is a result
_HEAD = 1024  # bytes of a file of unknown suffix that are read
UNFINISHED = ".unfinished"  # how the name of a run's own folder ends


@dataclass(frozen=True, eq=False)
class Folder:
    """One folder: the modality's own files in it, its tables, how many others, and its folders.

    `items` counts the modality's files in it and below; `split` is the one that it is called after,
    among the folders beside it. What is hidden, and results that Headstart wrote, are not there.
    """

    path: Path
    files: tuple[str, ...]
    tables: tuple[str, ...]
    others: tuple[str, ...]
    folders: tuple[Folder, ...]
    items: int
    split: str | None = None

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.path.name

    @property
    def full(self) -> tuple[Folder, ...]:
        """The folders in it that hold items, at any depth."""
        return tuple(folder for folder in self.folders if folder.items)

    def folder(self, name: str) -> Folder | None:
        """The folder of this name in it, in whatever case."""
        return next((f for f in self.folders if f.name.lower() == name.lower()), None)

    def below(self) -> Iterator[tuple[Folder, tuple[str, ...]]]:
        """This folder and all below it, each with the names that lead there."""
        stack: list[tuple[Folder, tuple[str, ...]]] = [(self, ())]
        while stack:
            folder, names = stack.pop()
            yield folder, names
            stack.extend((inner, (*names, inner.name)) for inner in folder.folders)

    def every(self) -> list[tuple[str, ...]]:
        """The way to each item from here, folder by folder, sorted."""
        return sorted((*way, name) for folder, way in self.below() for name in folder.files)


def walk(path: Path, modality: Modality) -> Folder:
    """What lies under a folder; links are followed, each real folder once in each of its folders,
    and none that leads back to where it began.

    Raises DataError for a folder that can't be read.
    """
    listed: list[tuple[str, list[str], list[str]]] = []
    top = Path(os.path.realpath(path))
    visited: set[tuple[str, str]] = set()
    for parent, folders, names in os.walk(path, followlinks=True, onerror=_raise):
        inner = Path(parent).relative_to(path).parts
        real = os.path.realpath(parent)
        key = inner[0] if inner else "", real
        if key in visited or (inner and (top.is_relative_to(real) or not OURS.isdisjoint(names))):
            folders[:] = []
            continue
        visited.add(key)
        folders[:] = sorted(name for name in folders if not _passed_over(name))
        listed.append((parent, list(folders), names))
    by_path: dict[str, Folder] = {}
    for parent, folders, names in reversed(listed):  # what lies deeper comes first
        inner_ones = (by_path.pop(os.path.join(parent, name), None) for name in folders)
        below = tuple(folder for folder in inner_ones if folder)
        by_path[parent] = _folder(parent, names, below, modality)
    return by_path[os.fspath(path)]


def readable(path: Path) -> None:
    """Raise DataError where a folder can't be listed."""
    try:
        os.listdir(path)
    except OSError as error:
        _raise(error)


def is_table(name: str) -> bool:
    """Whether a file is one that may list items."""
    stem, suffix = os.path.splitext(name.lower())
    return suffix in SUFFIXES or (suffix == ".json" and split_in(stem) is not None)


def _folder(
    parent: str, names: Iterable[str], folders: tuple[Folder, ...], modality: Modality
) -> Folder:
    files: list[str] = []
    tables: list[str] = []
    others: list[str] = []
    for name in sorted(name for name in names if not _passed_over(name)):
        if counts(Path(parent, name), modality):
            files.append(name)
        else:
            (tables if is_table(name) else others).append(name)
    items = len(files) + sum(folder.items for folder in folders)
    splits = splits_among(folder.name for folder in folders)
    inner = tuple(replace(folder, split=splits.get(folder.name)) for folder in folders)
    return Folder(Path(parent), tuple(files), tuple(tables), tuple(others), inner, items)


def counts(path: Path, modality: Modality) -> bool:
    """Whether a file is one of the modality's: by its suffix, else by its first bytes.

    Texts may also be called by numbers alone, as those of 20 Newsgroups are.
    """
    if path.suffix.lower() in modality.suffixes:
        return True
    numbered = modality.inline and path.name.isdecimal()
    try:
        with path.open("rb") if path.is_file() else nullcontext() as file:
            head = file.read(_HEAD) if file is not None else b""
            return bool(modality.recognises(head) or (numbered and head and b"\0" not in head))
    except OSError:  # what can't be read is no item but by its suffix
        return False


def _passed_over(name: str) -> bool:
    return passed_over(name) or name.endswith(UNFINISHED)


def _raise(error: OSError) -> NoReturn:
    reason = (error.strerror or str(error)).lower()
    raise DataError(
        f"{error.filename} can't be read: {reason}. Check the folder and its permissions."
    ) from error
