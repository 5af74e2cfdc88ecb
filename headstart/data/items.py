"""Finding items: folders of classes, with or without splits, and manifests."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

from headstart.contracts import Modality
from headstart.data import manifests
from headstart.data.schema import Schema
from headstart.data.sources import SPLIT_WORDS, FileSource, Found, Row
from headstart.errors import DataError

_OTHER = "other file"
_HEAD = 1024  # bytes of a file of unknown suffix that are read to recognise it
_STRAY = 0.1  # of a split's items, those beside its class folders: they are left out


@dataclass(frozen=True)
class _Tree:
    """The files under one folder: the modality's own, and how many others."""

    name: str
    files: tuple[Path, ...]
    direct: int  # of the files, how many lie in the folder itself
    others: int
    children: tuple[str, ...] = field(default=())  # folders right below that hold items

    @property
    def is_class(self) -> bool:
        """Whether its items lie in the folder itself, save a few in folders below."""
        return self.direct > _STRAY * len(self.files)


def find(path: Path, modality: Modality, schema: Schema) -> Found:
    """Every item under a folder or in a manifest, with its label and the split the layout names.

    Raises DataError when there is nothing, or nothing that says the classes.
    """
    if not os.path.exists(path):
        raise DataError(f"{path} does not exist. Give a folder of classes or a manifest.")
    if not path.is_dir():
        if path.suffix.lower() not in manifests.SUFFIXES:
            kinds = ", ".join(sorted(manifests.SUFFIXES))
            raise DataError(
                f"{path} is no data set. Give a folder of classes or a manifest ({kinds})."
            )
        return manifests.find_rows(path, path.parent, None, modality, schema)
    trees = [_walk(folder, modality) for folder in _folders(path)]
    split_trees = _split_trees(trees)
    if split_trees:
        _demand_no_columns(path, schema)
        return _from_splits(path, modality, trees, split_trees)
    named = _named_manifests(path)
    if named:
        return _from_manifests(path, named, modality, schema)
    return _from_classes(path, trees, modality, schema)


def find_inputs(paths: Sequence[Path | str], modality: Modality) -> list[Path]:
    """The files to predict on: files as given, folders walked for the modality's files, sorted.

    Raises DataError for a path that does not exist and for a folder without such a file.
    """
    inputs: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            files = _walk(path, modality).files
            if not files:
                raise DataError(
                    f"{path} holds no file to predict on. Files that count: {_kinds(modality)}."
                )
            inputs.extend(files)
        elif os.path.exists(path):
            inputs.append(path)
        else:
            raise DataError(f"{path} does not exist. Give files or folders.")
    return inputs


def _from_classes(path: Path, trees: list[_Tree], modality: Modality, schema: Schema) -> Found:
    if not any(tree.files for tree in trees):
        listed = [file for file in _files(path) if file.suffix.lower() in manifests.SUFFIXES]
        if len(listed) == 1:
            return manifests.find_rows(listed[0], path, None, modality, schema)
        loose = any(counts(file, modality) for file in _files(path))
        what = "holds files but no folder of a class"
        if not loose:
            what = f"holds no items (files that count: {_kinds(modality)})"
        raise DataError(f"{path} {what}. Make one folder per class, or give a manifest.")
    _demand_no_columns(path, schema)
    return _found(path, trees, None)


def _demand_no_columns(path: Path, schema: Schema) -> None:
    for name in (schema.label, schema.group, *schema.content):
        if name is not None:
            raise DataError(
                f"{path} is a folder of classes and has no column {name!r}: its folders' names are "
                "the labels. Leave the column out, or give a manifest."
            )


def _found(root: Path, trees: Sequence[_Tree], split: str | None) -> Found:
    rows = [
        Row(file.relative_to(root).as_posix(), str(file), tree.name, split, FileSource(file))
        for tree in trees
        for file in tree.files
    ]
    others = sum(tree.others for tree in trees)
    empty = tuple(tree.name for tree in trees if not tree.files)
    notes = {_OTHER: others} if others else {}
    return Found(root, tuple(rows), "classes", "value", notes=notes, empty_classes=empty)


def _split_trees(trees: list[_Tree]) -> list[_Tree]:
    """The folders that are splits: they hold class folders, and `train` or nothing else is there.

    A class may be called `train` or `test` itself; its folder then holds items, not class folders.
    """
    named = [tree for tree in trees if tree.name.lower() in SPLIT_WORDS]
    if not any(tree.children for tree in named) or any(tree.is_class for tree in named):
        return []
    words = {SPLIT_WORDS[tree.name.lower()] for tree in named}
    others = [tree for tree in trees if tree not in named and tree.files]
    return named if not others or ("train" in words and len(words) > 1) else []


def _from_splits(root: Path, modality: Modality, trees: list[_Tree], named: list[_Tree]) -> Found:
    parts = []
    for tree in named:
        split = SPLIT_WORDS[tree.name.lower()]
        classes = [_walk(folder, modality) for folder in _folders(root / tree.name)]
        part = _found(root, classes, split)
        parts.append(replace(part, split_names={split: tree.name}))
    beside = [tree.name for tree in trees if tree not in named and tree.files]
    stray = {tree.name: tree.direct for tree in named if tree.direct}
    found = _join(root, parts)
    labels = {row.value for row in found.rows}
    warnings = (
        *(f"Folder {name!r} lies beside the splits and is not used." for name in beside),
        *(f"{n} files of {name!r} lie in no class and are not used." for name, n in stray.items()),
    )
    empty = tuple(name for name in found.empty_classes if name not in labels)
    return replace(found, warnings=warnings, empty_classes=empty)


def _from_manifests(
    root: Path, named: list[tuple[str, str, Path]], modality: Modality, schema: Schema
) -> Found:
    parts = []
    for split, word, path in named:
        part = manifests.find_rows(path, root, split, modality, schema)
        parts.append(replace(part, split_names={split: word}))
    return _join(root, parts)


def _join(root: Path, parts: Sequence[Found]) -> Found:
    notes: Counter[str] = Counter()
    for part in parts:
        notes.update(part.notes)
    return Found(
        root,
        tuple(row for part in parts for row in part.rows),
        parts[0].kind,
        parts[0].column,
        split_names={split: name for part in parts for split, name in part.split_names.items()},
        notes=dict(notes),
        empty_classes=tuple(dict.fromkeys(name for part in parts for name in part.empty_classes)),
        said=tuple(dict.fromkeys(sentence for part in parts for sentence in part.said)),
    )


def _named_manifests(root: Path) -> list[tuple[str, str, Path]]:
    """Manifests called after splits, in the folder or its `data` folder: (split, its word, path).

    Raises DataError when the names tell of more than one data set.
    """
    named: list[tuple[str, str, Path]] = []
    prefixes: dict[str, Path] = {}
    for folder in (root, root / "data"):
        for path in _files(folder) if folder.is_dir() else ():
            words = re.split(r"[^a-z0-9]+", path.stem.lower())
            place = next((n for n, word in enumerate(words) if word in SPLIT_WORDS), None)
            if place is None or path.suffix.lower() not in manifests.SUFFIXES:
                continue
            prefixes.setdefault("_".join(words[:place]), path)
            named.append((SPLIT_WORDS[words[place]], words[place], path))
    if len(prefixes) > 1:
        names = " and ".join(sorted(path.name for path in prefixes.values())[:2])
        raise DataError(
            f"{root} holds more than one data set ({names}). Keep each in its own folder."
        )
    return named


def _walk(folder: Path, modality: Modality) -> _Tree:
    """The files below a folder, sorted by path; links are followed, each real folder once."""
    files: list[Path] = []
    others, direct, seen = 0, 0, set()
    children: set[str] = set()
    for parent, folders, names in os.walk(folder, followlinks=True, onerror=_raise):
        real = os.path.realpath(parent)
        folders[:] = (
            sorted(name for name in folders if not _hidden(name)) if real not in seen else []
        )
        visible = [] if real in seen else sorted(name for name in names if not _hidden(name))
        seen.add(real)
        own = [path for path in (Path(parent, name) for name in visible) if counts(path, modality)]
        files.extend(own)
        others += len(visible) - len(own)
        inner = Path(parent).relative_to(folder).parts
        direct += len(own) if not inner else 0
        if own and inner:
            children.add(inner[0])
    return _Tree(folder.name, tuple(sorted(files)), direct, others, tuple(sorted(children)))


def _raise(error: OSError) -> None:
    reason = (error.strerror or str(error)).lower()
    raise DataError(
        f"{error.filename} can't be read: {reason}. Check the folder and its permissions."
    ) from error


def _folders(path: Path) -> list[Path]:
    return sorted(entry for entry in _entries(path) if entry.is_dir())


def _files(path: Path) -> list[Path]:
    return sorted(entry for entry in _entries(path) if entry.is_file())


def _entries(path: Path) -> Iterator[Path]:
    try:
        yield from (entry for entry in path.iterdir() if not _hidden(entry.name))
    except OSError as error:
        _raise(error)


def _hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def counts(path: Path, modality: Modality) -> bool:
    """Whether a file is an item: by its suffix, or by its first bytes, whatever it is called."""
    if path.suffix.lower() in modality.suffixes:
        return True
    try:
        with path.open("rb") if path.is_file() else nullcontext() as file:
            return file is not None and bool(modality.recognises(file.read(_HEAD)))
    except OSError:  # the check tells of items that can't be read; this is known for none
        return False


def _kinds(modality: Modality) -> str:
    return ", ".join(sorted(modality.suffixes))
