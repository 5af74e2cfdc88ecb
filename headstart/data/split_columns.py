"""Columns of a table that say which split a row is in, whatever they are called."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from headstart.contracts.cells import are_marks, is_blank, mark
from headstart.data.names import split_of
from headstart.data.sources import SPLIT_WORDS, SPLITS
from headstart.data.tables.interface import ItemTable

USUAL = "split"
_MARKED = {  # columns of yes and no: the split of yes, and of no
    **dict.fromkeys(("is_valid", "is_val", "is_validation"), ("validation", "train")),
    "is_test": ("test", "train"),
    **dict.fromkeys(("is_train", "is_training", "is_training_image"), ("train", "test")),
}
_LEADERBOARDS = {"publictest": "validation", "privatetest": "test"}  # of competitions
_FOLDS = frozenset({"fold", "folds", "kfold", "k_fold", "cv_fold", "fold_id"})
_MOST_FOLDS = 50
_SAMPLE = 100  # rows by which a column of words is told


def split_column(table: ItemTable, free: Collection[str]) -> str | None:
    """The column called `split`, else the first of those `free` that does nothing but name splits.

    It names that for training and another, in words or by yes and no, as `is_valid` does.
    """
    usual = [name for name in table.names if name.lower() == USUAL]
    if usual:
        return min(usual, key=lambda name: name != USUAL)
    names = [name for name in table.names if name in free]
    sample = list(table.first_rows(_SAMPLE))
    for name in names:
        if _key(name) in _MARKED:
            if are_marks(table.values(name)):
                return name
        elif sample and _all_name_splits(row.get(name) for row in sample):
            splits = {split_named(name, value) for value in table.values(name)}
            if "train" in splits and 1 < len(splits) and splits <= {*SPLITS, ""}:
                return name
    return None


def split_named(column: str, value: Any) -> str | None:
    """The split that a cell says: empty where it is blank, None where it says none."""
    if is_blank(value):
        return ""
    splits, number = _MARKED.get(_key(column)), mark(value)
    if splits is not None:
        return splits[0] if number == 1 else splits[1] if number == 0 else None
    word = str(value).strip().lower()
    split = SPLIT_WORDS.get(word) or _LEADERBOARDS.get(word) or split_of(str(value))
    return split if split in SPLITS else None


def word_for(column: str, value: Any) -> str:
    """What the data set calls a split, by one of its cells."""
    word = str(value).strip()
    return f"{column} {word}" if _key(column) in _MARKED else word


def numbers_folds(table: ItemTable, name: str) -> bool:
    """Whether a column does nothing but number folds."""
    if _key(name) not in _FOLDS:
        return False
    marks = {mark(value) for value in table.values(name) if not is_blank(value)}
    whole = all(each is not None and each.is_integer() for each in marks)
    return whole and 1 < len(marks) <= _MOST_FOLDS


def _key(name: str) -> str:
    return name.strip().lower().replace(" ", "_")


def _all_name_splits(values: Any) -> bool:
    plain = (str, float, type(None))  # others, such as arrays, are content
    filled = [value for value in values if not (isinstance(value, plain) and is_blank(value))]
    return bool(filled) and all(isinstance(v, str) and split_named("", v) for v in filled)
