"""Text files that list which items are in which split: `train.txt`, `train_test_split.txt`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath

from headstart.data.names import split_in, split_word
from headstart.data.sources import SPLITS, Contents, FileSource
from headstart.data.tables.text import opened
from headstart.data.trees import Folder
from headstart.errors import DataError

_MOSTLY = 0.9  # of a list's lines that name items here
_LONGEST = 64 << 20  # bytes of a list
_REST = "the other files"
_FLAGS = {"1": "train", "0": "test"}


def split_by_lists(contents: Contents, tree: Folder) -> Contents:
    """What lists in one folder say of splits, where nothing else does: one list a split.

    Each line begins with the path of an item, or ends as it does, with or without its suffix. Where
    no list is called after the training split, what none lists is learned from; else it is not
    used. One list called after both, as `train_test_split.txt`, says by 1 and 0 which files, or
    which of the numbers that another list gives them, are learned from and which are for the test.
    """
    files = [row.id for row in contents.rows if isinstance(row.source, FileSource)]
    if contents.split_names or not files:
        return contents
    for lists in _lists(tree):
        index = _index(files)
        items_of = {split: set(_listed_items(path, index)) for split, path in lists.items()}
        if all(items_of.values()) and sum(map(len, items_of.values())) == len(
            set().union(*items_of.values())
        ):
            words = {split: path.name for split, path in lists.items()}
            return _split(contents, words, {i: s for s, own in items_of.items() for i in own})
    index = _index(files)
    for name, flags in _flags(tree, index):
        words = {"train": f"{name} 1", "test": f"{name} 0"}
        return _split(contents, words, {i: _FLAGS[flag] for i, flag in flags.items()})
    return contents


def _split(contents: Contents, words: Mapping[str, str], split_of: Mapping[str, str]) -> Contents:
    rest = None if "train" in words else "train"
    rows = tuple(replace(row, split=split_of.get(row.id, rest)) for row in contents.rows)
    used_rows = tuple(row for row in rows if row.split)
    names = dict.fromkeys(re.sub(" [01]$", "", word) for word in words.values())
    shown = " and ".join(f"`{name}`" for name in names)
    verb = "says" if len(names) == 1 else "say"
    warnings = contents.warnings
    if len(used_rows) < len(rows):
        warnings += (
            f"{len(rows) - len(used_rows)} files that no list of a split names are not used.",
        )
    return replace(
        contents,
        rows=used_rows,
        split_names={"train": _REST, **words},
        remarks=(*contents.remarks, f"{shown} {verb} which split a file is in"),
        warnings=warnings,
        unlabelled={},
    )


def _lists(tree: Folder) -> Iterator[dict[str, Path]]:
    """The lists of splits in each folder where no split has two, and one is held out.

    Those called after a split alone go before others, as `train` before `cat_train`, and `train`
    before `trainval` where `val` is there.
    """
    for folder, _ in tree.below():
        texts = [name for name in folder.others if _is_text(name)]
        plain = {Path(name).stem.lower(): name for name in texts if split_word(Path(name).stem)}
        if {"train", "val", "trainval"} <= set(plain):
            del plain["trainval"]
        for names in ([*plain.values()], texts):
            stems = {name: split_in(Path(name).stem) for name in names}
            splits = Counter(match[0] for match in stems.values() if match)
            lists = {match[0]: folder.path / name for name, match in stems.items() if match}
            held_out = set(lists) - {"train"}
            if held_out and set(lists) <= set(SPLITS) and max(splits.values()) == 1:
                yield {split: lists[split] for split in SPLITS if split in lists}
                break


def _flags(tree: Folder, index: Mapping[str, str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Lists of 1 and 0 that are called after both splits: their names, and the flags of items."""
    for folder, _ in tree.below():
        texts = [name for name in folder.others if _is_text(name)]
        for name in texts:
            words = {split_word(word) for word in re.findall("[a-z]+", Path(name).stem.lower())}
            flags = _pairs(folder.path / name) if {"train", "test"} <= words else {}
            if {*flags.values()} != {*_FLAGS}:
                continue
            for other in texts:
                paths = (
                    dict(zip(flags, flags, strict=True))
                    if other == name
                    else _pairs(folder.path / other)
                )
                items = {
                    index[paths[key]]: flag
                    for key, flag in flags.items()
                    if paths.get(key) in index
                }
                if len(items) >= _MOSTLY * len(flags):
                    yield name, items


def _pairs(path: Path) -> dict[str, str]:
    """What stands behind the first word of each line; nothing where any line has no more."""
    pairs = [line.split(maxsplit=1) for line in _lines(path)]
    return {pair[0]: pair[1] for pair in pairs} if all(len(pair) == 2 for pair in pairs) else {}


def _is_text(name: str) -> bool:
    return name.lower().endswith((".txt", ".lst"))


def _index(files: list[str]) -> dict[str, str]:
    """Items by how a line may name them, where just one item is named so."""
    keys: dict[str, str | None] = {}
    for name in files:
        path = PurePosixPath(name)
        ends = {name, path.name, "/".join(path.parts[-2:])}
        for key in ends | {str(PurePosixPath(end).with_suffix("")) for end in ends}:
            keys[key] = None if key in keys else name
    return {key: name for key, name in keys.items() if name}


def _listed_items(path: Path, index: Mapping[str, str]) -> Iterator[str]:
    """The items that a list names; none where too many of its lines name nothing here."""
    lines = _lines(path)
    items = [index.get(line) or index.get(line.split()[0]) for line in lines]
    listed = [item for item in items if item]
    if listed and len(listed) >= _MOSTLY * len(items):
        yield from listed


def _lines(path: Path) -> list[str]:
    """The lines that say anything; none where it can't be read as text, or is too long."""
    with suppress(DataError, OSError):
        if path.stat().st_size <= _LONGEST:
            with opened(path) as file:
                return [line.strip().removeprefix("./") for line in file if line.strip()]
    return []
