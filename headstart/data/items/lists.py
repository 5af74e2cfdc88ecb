"""Texts beside the items of one folder that list them, where no class folder is."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

from headstart.data.items.split_lists import says_splits, text_lines
from headstart.data.items.tables import Table, Tables, table_of
from headstart.data.sources import Contents
from headstart.data.tables import read
from headstart.data.trees import Folder
from headstart.errors import DataError

_LISTS = (".txt", ".lst")
_MOST = 20  # texts of a folder, beyond which they are items of another kind


def of_lists(top: Folder, tables: Tables) -> Contents | None:
    """What the only list of the items there says of them; None where there is none.

    Of several it is the one with the label column that the user names. Lists called after splits
    count where no other is there, and each line has a label. Raises DataError where several are
    left.
    """
    if tables.modality.inline or not top.items or _may_name_classes(top):
        return None
    every = list(_texts(top))
    listing = [each for each in every if not each.split and tables.list_items(each)]
    if not listing:  # then those of splits, where they say labels too
        pairs = [each for each in every if each.split and _is_pairs(each.path)]
        pairs = [each for each in pairs if tables.list_items(each)]
        return tables.read(pairs) if pairs else None
    if len(listing) > 1:
        listing = tables.with_label(listing) or listing
    if len(listing) > 1:
        names = " and ".join(each.path.name for each in listing[:2])
        raise DataError(
            f"{tables.paths.root} holds {len(listing)} lists of its files, such as {names}. Give "
            "the path of the one with the labels in place of the folder, or name its column by "
            "--label."
        )
    return tables.read(listing)


def listed_classes(folder: Folder, classes: Collection[str]) -> dict[tuple[str, ...], str]:
    """The class of each item in a folder by its way, where a text there names one for all of them.

    As Tiny ImageNet's `val_annotations.txt` does. Empty where none does, or another class or a file
    of two is named.
    """
    ways = folder.every()
    files = {way[-1] for way in ways}
    for name in folder.others if len(files) == len(ways) else ():
        if name.lower().endswith(_LISTS):
            every = text_lines(folder.path / name)
            rows = [line.split("\t") if "\t" in line else line.split() for line in every]
            pairs = {(Path(row[0]).name, row[1]) for row in rows if len(row) > 1}
            class_of = dict(pairs)
            named = files <= class_of.keys() and {class_of[file] for file in files} <= {*classes}
            if named and len(class_of) == len(pairs):
                return {way: class_of[way[-1]] for way in ways}
    return {}


def _may_name_classes(top: Folder) -> bool:
    """Whether items lie in several folders, which may be classes or splits."""
    return len(top.full) > 1 or any(map(_may_name_classes, top.full))


def _is_pairs(path: Path) -> bool:
    """Whether each line names a file and one thing more."""
    with suppress(DataError):
        return len(read(path)[0].names) == 2
    return False


def _texts(top: Folder) -> Iterator[Table]:
    for folder, way in top.below():
        names = [name for name in folder.others if name.lower().endswith(_LISTS)]
        if len(way) < 2 and len(names) <= _MOST:
            tables = (table_of(folder, name) for name in names)
            yield from (each for each in tables if each and not says_splits(each.path))
