"""Columns that name splits, whatever they are called, and columns that number folds."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import layouts
import pytest

from headstart.data import Schema, load
from headstart.errors import DataError
from headstart.modalities.image import Image
from headstart.modalities.table import Table
from headstart.modalities.text import Text

SPLITS = ("train", "train", "validation", "test")


def sizes(path: Path, label: str = "label") -> Counter[str | None]:
    return Counter(item.split for item in load(path, Text(), Schema(label=label)).items)


def written(path: Path, column: str, cells: tuple[object, ...]) -> Path:
    """Texts of two classes, of which half are by turns in each pair of cells."""
    rows = [(f"text {n} of {n % 7} words", "ab"[n % 2], cells[n // 2 % 4]) for n in range(80)]
    layouts.table(path / "all.csv", f"text,label,{column}", rows)
    return path / "all.csv"


@pytest.mark.parametrize(
    ("column", "cells"),
    [
        ("Split", ("Train", "Train", "Dev", "Test")),
        ("set", ("train", "train", "val", "test")),
        ("data set", ("TRAIN", "TRAIN", "VALIDATION", "TEST")),
        ("Usage", ("Training", "Training", "PublicTest", "PrivateTest")),
        ("anything", ("train_set", "train_set", "valid_set", "test_set")),
    ],
)
def test_words_in_whatever_column_name_the_splits(
    tmp_path: Path, column: str, cells: tuple[object, ...]
) -> None:
    data = load(written(tmp_path, column, cells), Text(), Schema())
    assert Counter(item.split for item in data.items) == Counter(SPLITS * 20)
    assert data.report.split_rule == (
        f"`{cells[0]}`, `{cells[2]}` and `{cells[3]}` are the splits as named"
    )
    assert f"`{column}` says which split a row is in" in data.report.remarks


@pytest.mark.parametrize(
    ("column", "cells", "held"),
    [
        ("is_valid", (False, False, False, True), "is_valid True"),
        ("is_test", (0, 0, 0, 1), "is_test 1"),
        ("is_train", (1, 1, 1, 0), "is_train 0"),
    ],
)
def test_a_column_of_yes_and_no_tells_what_is_held_out(
    tmp_path: Path, column: str, cells: tuple[object, ...], held: str
) -> None:
    data = load(written(tmp_path, column, cells), Text(), Schema())
    assert Counter(item.split for item in data.items)["test"] == 20
    assert data.report.split_rule.startswith(f"`{held}` is the held-out test; ")


@pytest.mark.parametrize("cells", [("train",) * 4, ("train", "bus", "train", "bus")])
def test_a_column_of_other_words_names_no_split(tmp_path: Path, cells: tuple[str, ...]) -> None:
    assert sizes(written(tmp_path, "kind", cells))["test"] == 12


def test_a_column_that_is_the_label_names_no_split(tmp_path: Path) -> None:
    path = written(tmp_path, "set", ("train", "train", "test", "test"))
    assert load(path, Text(), Schema(label="set")).labels == ("test", "train")


def test_no_row_of_a_table_is_learned_from_its_split_or_fold(tmp_path: Path) -> None:
    splits = ("train", "train", "val", "test")
    rows = [(n * 37 % 101, n * 53 % 97, splits[n % 4], n % 5, "xy"[n % 3 > 0]) for n in range(80)]
    layouts.table(tmp_path / "a.csv", "a,b,set,fold,label", rows)
    data = load(tmp_path / "a.csv", Table(), Schema(label="label"))
    sentence, *_ = data.report.remarks
    assert sentence.startswith("numbers `a`, `b`; `fold` numbers folds and is not used (--group")
    assert Counter(item.split for item in data.items) == Counter(SPLITS * 20)
    grouped = load(tmp_path / "a.csv", Table(), Schema(label="label", group="fold"))
    assert {item.group for item in grouped.items} == {*"01234"}
    assert not any("numbers folds" in remark for remark in grouped.report.remarks)


def test_a_picture_s_row_says_its_split(tmp_path: Path) -> None:
    layouts.pictures(tmp_path / "im", count=40)
    rows = [(f"im/{n}.bmp", "ab"[n % 2], SPLITS[n // 2 % 4]) for n in range(40)]
    layouts.table(tmp_path / "birds.csv", "filepaths,labels,data set", rows)
    data = load(tmp_path, Image(), Schema())
    assert Counter(item.split for item in data.items) == Counter(SPLITS * 10)


@pytest.mark.parametrize(
    ("column", "cells", "sizes"),
    [
        ("set", ("train", "train", "val", "test"), {"train": 40, "validation": 20, "test": 20}),
        ("split", ("train", "train", "val", "test"), {"train": 40, "validation": 20, "test": 20}),
        ("split", ("train", "", "val", "test"), {"train": 20, "validation": 20, "test": 20}),
        ("is_test", (0, 0, 0, 1), {"train": 48, "validation": 12, "test": 20}),
    ],
)
def test_a_lone_table_called_train_is_parted_by_its_column(
    tmp_path: Path, column: str, cells: tuple[object, ...], sizes: dict[str, int]
) -> None:
    written(tmp_path, column, cells).rename(tmp_path / "train.csv")
    for path in (tmp_path, tmp_path / "train.csv"):
        data = load(path, Text(), Schema())
        assert Counter(item.split for item in data.items) == sizes
        assert f"`{column}` says which split a row is in" in data.report.remarks


def test_a_table_of_a_split_says_more_than_its_columns_but_for_what_training_holds_out(
    tmp_path: Path,
) -> None:
    written(tmp_path, "is_valid", (0, 0, 0, 1)).rename(tmp_path / "train.csv")
    tests = [(f"other text {n}", "ab"[n % 2], 0) for n in range(20)]
    layouts.table(tmp_path / "test.csv", "text,label,is_valid", tests)
    data = load(tmp_path, Text(), Schema())
    splits = Counter(item.split for item in data.items)
    assert splits == {"train": 60, "validation": 20, "test": 20}
    assert "`is_valid` says which split a row is in" in data.report.remarks


def test_a_row_that_names_no_split_in_a_table_called_train_is_an_error(tmp_path: Path) -> None:
    written(tmp_path, "split", ("train", "train", "bus", "test")).rename(tmp_path / "train.csv")
    with pytest.raises(DataError, match=r"train\.csv line 6 has 'bus' as its split, which is none"):
        load(tmp_path, Text(), Schema())
