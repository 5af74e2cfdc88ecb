"""Text files that list which items are in which split: `train.txt`, `validation_list.txt`."""

from __future__ import annotations

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


def split_by_lists(contents: Contents, tree: Folder) -> Contents:
    """What lists in one folder say of splits, where nothing else does: one list a split.

    Each line begins with the path of an item, or ends as it does, with or without its suffix. Where
    no list is called after the training split, what none lists is learned from; else it is not
    used.
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
            return _split(contents, lists, {i: s for s, own in items_of.items() for i in own})
    return contents


def _split(contents: Contents, lists: Mapping[str, Path], split_of: Mapping[str, str]) -> Contents:
    words = {split: path.name for split, path in lists.items()}
    rest = None if "train" in lists else "train"
    rows = tuple(replace(row, split=split_of.get(row.id, rest)) for row in contents.rows)
    used_rows = tuple(row for row in rows if row.split)
    shown = " and ".join(f"`{name}`" for name in words.values())
    verb = "says" if len(words) == 1 else "say"
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
    lines: list[str] = []
    with suppress(DataError, OSError):
        if path.stat().st_size <= _LONGEST:
            with opened(path) as file:
                lines = [line.strip().removeprefix("./") for line in file if line.strip()]
    items = [index.get(line) or index.get(line.split()[0]) for line in lines]
    listed = [item for item in items if item]
    if listed and len(listed) >= _MOSTLY * len(items):
        yield from listed
