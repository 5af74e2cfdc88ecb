"""Lists of which items are in which split: `train.txt`, `train_test_split.txt`, partitions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath

from headstart.data.names import passed_over, split_in, split_word
from headstart.data.sources import SPLIT_WORDS, SPLITS, Contents, FileSource
from headstart.data.tables.text import opened
from headstart.data.trees import Folder
from headstart.errors import DataError

_MOSTLY = 0.9  # of a list's lines that name items here
_LONGEST = 64 << 20  # bytes of a list
_REST = "the other files"
_TEXTS = (".txt", ".lst")
_HEAD = 2  # lines above a partition: how many files there are, and the names of its columns
_FLAGS = {"1": "train", "0": "test"}
_PARTS = {"0": "train", "1": "validation", "2": "test"}  # as CelebA numbers them
_PARTITIONS = {"partition", "partitions", "split", "splits"}  # words in the names of such lists


def split_by_lists(contents: Contents, tree: Folder) -> Contents:
    """What lists in one folder say of splits, where nothing else does: one list a split.

    Each line begins with the path of an item, or ends as it does, with or without its suffix. Where
    no list is called after the training split, what none lists is learned from; else it is not
    used. One list called after both, as `train_test_split.txt`, says by 1 and 0 which files, or
    which of the numbers that another list gives them, are learned from and which are for the test.
    One called after partitions says a split, or its number from 0 to 2, behind each file.
    """
    files = [row.id for row in contents.rows if isinstance(row.source, FileSource)]
    if contents.split_names or not files:
        return contents
    for lists, others in _lists(tree):
        index = _index(files)
        items_of = {split: set(_listed_items(path, index)) for split, path in lists.items()}
        if all(items_of.values()) and sum(map(len, items_of.values())) == len(
            set().union(*items_of.values())
        ):
            words = {split: path.name for split, path in lists.items()}
            split_of = {i: split for split, own in items_of.items() for i in own}
            return _split(contents, [*words.values()], words, split_of, others)
    index = _index(files)
    for name, flags in _flags(tree, index):
        words = {"train": f"{name} 1", "test": f"{name} 0"}
        return _split(contents, [name], words, {i: _FLAGS[flag] for i, flag in flags.items()})
    for folder, _ in tree.below():
        for name in filter(_is_partition, (*folder.others, *folder.tables)):
            parts = _parts(folder.path / name)
            split_of = {index[file]: split for file, split in parts.items() if file in index}
            splits = [split for split in SPLITS if split in split_of.values()]
            if len(splits) > 1 and "train" in splits and len(split_of) >= _MOSTLY * len(files):
                return _split(contents, [name], dict(zip(splits, splits, strict=True)), split_of)
    return contents


def beside(path: Path) -> Folder:
    """The files right beside a manifest, which may list what is in which split."""
    names = sorted(each.name for each in path.parent.iterdir() if each != path)
    return Folder(path.parent, (), (), tuple(n for n in names if not passed_over(n)), (), 0)


def says_splits(path: Path) -> bool:
    """Whether a file is called after partitions and says nothing but the split of each file."""
    return _is_partition(path.name) and bool(_parts(path))


def _is_partition(name: str) -> bool:
    return name.lower().endswith((*_TEXTS, ".csv")) and bool(_PARTITIONS & _words(name))


def _parts(path: Path) -> dict[str, str]:
    """The split behind each file, but for two lines above; nothing where any other says none.

    Numbers say it in a list of partitions alone, as others begin to count at the test split.
    """
    every = [re.split(r"[\s,;]+", line) for line in text_lines(path)]
    numbers = _PARTS if {"partition", "partitions"} & _words(path.name) else {}
    split_of = {**SPLIT_WORDS, **numbers}
    rows = [row for row in every if len(row) == 2 and row[1].lower() in split_of]
    fits = len(every) - len(rows) <= _HEAD
    return {file: split_of[word.lower()] for file, word in rows} if fits else {}


def _words(name: str) -> set[str]:
    return {*re.findall("[a-z]+", Path(name).stem.lower())}


def _split(
    contents: Contents,
    names: Sequence[str],
    words: Mapping[str, str],
    split_of: Mapping[str, str],
    others: str = "",
) -> Contents:
    rest = None if "train" in words else "train"
    rows = tuple(replace(row, split=split_of.get(row.id, rest)) for row in contents.rows)
    used_rows = tuple(row for row in rows if row.split)
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
        remarks=(*contents.remarks, f"{shown} {verb} which split a file is in{others}"),
        warnings=warnings,
        unlabelled={},
    )


def _lists(tree: Folder) -> Iterator[tuple[dict[str, Path], str]]:
    """The lists of splits in each folder where no split has two, and one is held out.

    Those called after a split alone go before others, as `train` before `cat_train`, and `train`
    before `trainval` where `val` is there. Of several splits by number, as DTD's `train1` to
    `train10`, it is the first, of which a phrase for the report says so.
    """
    for folder, _ in tree.below():
        texts = [n for n in folder.others if _is_text(n) and not says_splits(folder.path / n)]
        plain = {Path(name).stem.lower(): name for name in texts if split_word(Path(name).stem)}
        if {"train", "val", "trainval"} <= set(plain):
            del plain["trainval"]
        first, phrase = _first_numbered(plain)
        for names in ([*plain.values()], first, texts):
            stems = {name: split_in(Path(name).stem) for name in names}
            splits = Counter(match[0] for match in stems.values() if match)
            lists = {match[0]: folder.path / name for name, match in stems.items() if match}
            held_out = set(lists) - {"train"}
            if held_out and set(lists) <= set(SPLITS) and max(splits.values()) == 1:
                chosen = {split: lists[split] for split in SPLITS if split in lists}
                yield chosen, phrase if names is first else ""
                break


def _first_numbered(names: Mapping[str, str]) -> tuple[list[str], str]:
    """The names with the lowest number at their end, by their stems, and how many there are."""
    numbers = {stem: int(n[0]) for stem in names if (n := re.findall(r"\d+$", stem))}
    least, count = min(numbers.values(), default=0), len({*numbers.values()})
    first = [names[stem] for stem, number in numbers.items() if number == least]
    return first, f" (the first of {count} such splits)"


def _flags(tree: Folder, index: Mapping[str, str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Lists of 1 and 0 that are called after both splits: their names, and the flags of items."""
    for folder, _ in tree.below():
        texts = [name for name in folder.others if _is_text(name)]
        for name in texts:
            words = {*map(split_word, _words(name))}
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
    pairs = [line.split(maxsplit=1) for line in text_lines(path)]
    return {pair[0]: pair[1] for pair in pairs} if all(len(pair) == 2 for pair in pairs) else {}


def _is_text(name: str) -> bool:
    return name.lower().endswith(_TEXTS)


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
    lines = text_lines(path)
    items = [index.get(line) or index.get(line.split()[0]) for line in lines]
    listed = [item for item in items if item]
    if listed and len(listed) >= _MOSTLY * len(items):
        yield from listed


def text_lines(path: Path) -> list[str]:
    """The lines that say anything; none where it can't be read as text, or is too long."""
    with suppress(DataError, OSError):
        if path.stat().st_size <= _LONGEST:
            with opened(path) as file:
                return [line.strip().removeprefix("./") for line in file if line.strip()]
    return []
