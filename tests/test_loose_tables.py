"""Tables as older archives keep them: parted by spaces, without a header, in several sheets."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from layouts import pictures

from headstart.data import Schema, load, tables
from headstart.errors import DataError
from headstart.modalities.image import Image
from headstart.modalities.table import Table
from headstart.modalities.text import Text


def names(path: Path, text: str) -> list[str]:
    path.write_text(text)
    return list(tables.read(path)[0].names)


def test_numbers_parted_by_spaces_without_a_header(tmp_path: Path) -> None:
    numbers = np.random.default_rng(0).uniform(0, 50, (40, 4))
    lines = [" ".join(f"{value:9.4f}" for value in row) for row in numbers]
    (tmp_path / "housing.data").write_text("\n".join(lines) + "\n\n")
    data = load(tmp_path / "housing.data", Table(), Schema(label="column 4"))
    read = np.concatenate([data.targets(name) for name in ("train", "validation", "test")])
    assert np.allclose(np.sort(read[:, 0]), np.sort(numbers[:, 3]), atol=1e-4)
    assert "has no header" in data.report.remarks[0]


def test_spaces_below_a_header(tmp_path: Path) -> None:
    text = "mass power\n" + "\n".join(f"{n}.5   {n * n}" for n in range(9))
    assert names(tmp_path / "a.dat", text) == ["mass", "power"]


@pytest.mark.parametrize(
    "text",
    [
        "the cat sat\nthe dog ran\na bird flew\n",
        "just one line\n",
        "see you at 5\nand at 6 again\nor 7 pm\n",
    ],
)
def test_sentences_are_not_parted_by_spaces(tmp_path: Path, text: str) -> None:
    assert len(names(tmp_path / "a.txt", text)) == 1


def test_a_list_of_files_and_numbers_of_classes(tmp_path: Path) -> None:
    """As torch's and Caffe's tutorials write them, for pictures beside the list."""
    pictures(tmp_path / "images", count=40)
    lines = [f"images/{n}.bmp {n % 3}" for n in range(40)]
    (tmp_path / "train.txt").write_text("\n".join(lines) + "\n")
    data = load(tmp_path / "train.txt", Image(), Schema())
    assert Counter(item.label for item in data.items) == {"0": 14, "1": 13, "2": 13}


@pytest.mark.parametrize(
    ("first", "headed"),
    [
        ("good phone,0", False),
        (",0", True),  # as pandas writes a column without a name
        ("5.1,3.5", False),
        ("2001,2002", True),
        ("height,5.1", True),
    ],
)
def test_a_first_row_of_values_is_no_header(tmp_path: Path, first: str, headed: bool) -> None:
    text = "\n".join([first, *(f"{n * 7 % 90},{n % 2}" for n in range(100, 130))])
    assert (names(tmp_path / "a.csv", text) != ["column 1", "column 2"]) is headed


@pytest.mark.parametrize(
    "form",
    ["{n}\ta dog of {n} years\t{n}1\tun chien de {n} ans", "Go {n}.\tVa {n}.\tCC-BY 2 (a {n})"],
)
def test_pairs_of_sentences_without_a_header_lose_none(tmp_path: Path, form: str) -> None:
    """As Tatoeba and Anki give them: not one cell comes again."""
    (tmp_path / "a.tsv").write_text("\n".join(form.format(n=n) for n in range(10, 50)) + "\n")
    table = tables.read(tmp_path / "a.tsv")[0]
    assert table.names[0] == "column 1"
    assert len(list(table.numbers())) == 40


def test_questions_above_short_answers_are_a_header(tmp_path: Path) -> None:
    header = "Timestamp,How satisfied are you with it?,What could we do better?"
    text = "\n".join(
        [header, *(f"2024-01-{n},{n},the thing of {n} was bad" for n in range(10, 30))]
    )
    assert names(tmp_path / "a.csv", text) == header.split(",")


def book(path: Path, **sheets: list[tuple[Any, ...]]) -> Path:
    from openpyxl import Workbook

    made = Workbook()
    made.remove(made.active)
    for name, rows in sheets.items():
        sheet = made.create_sheet(name)
        for row in rows:
            sheet.append(row)
    made.save(path / "a.xlsx")
    return path / "a.xlsx"


def rows(count: int, word: str) -> list[tuple[Any, ...]]:
    texts = [(f"{word} {n} of {n % 7} words", "ab"[n % 2]) for n in range(count)]
    return [("Comment", "Category"), *texts]


def test_sheets_called_after_splits_are_the_splits(tmp_path: Path) -> None:
    path = book(tmp_path, Notes=[("by me",)], Train=rows(40, "one"), Test=rows(20, "two"))
    data = load(path, Text(), Schema())
    assert Counter(item.split for item in data.items)["test"] == 20
    assert data.report.split_rule.startswith("`Test` is the held-out test; ")
    assert len({item.id for item in data.items}) == 60
    said = "the sheets 'Train' and 'Test' are joined, whose rows are counted on; `Comment` is"
    assert data.report.remarks[0].startswith(said)


def test_a_sheet_that_is_not_read_is_said(tmp_path: Path) -> None:
    path = book(tmp_path, One=rows(40, "one"), Two=rows(20, "two"))
    data = load(path, Text(), Schema())
    assert len(data.items) == 40
    assert data.report.remarks[0].startswith("of 2 sheets 'One' alone is read; `Comment` is")


def test_sheets_of_splits_with_other_columns_are_not_joined(tmp_path: Path) -> None:
    path = book(tmp_path, train=rows(40, "one"), test=[("Comment",), ("a",), ("b",)])
    assert len(load(path, Text(), Schema()).items) == 40


def test_a_workbook_numbers_its_rows_in_any_column(tmp_path: Path) -> None:
    body = [(n, *row) for n, row in enumerate(rows(40, "one"))]
    path = book(tmp_path, Sheet=[("No.", "Comment", "Category"), *body[1:], ("Total", 40, None)])
    assert load(path, Text(), Schema()).labels == ("a", "b")
    with pytest.raises(DataError, match="no column 'nothing'"):
        load(path, Text(), Schema(label="nothing"))


@pytest.mark.parametrize(
    ("first", "other", "headed"),
    [("hello", "bonjour", False), ("en", "un jour", False), ("Source", "TGT", True)],
)
def test_bars_part_pairs_which_lose_none(
    tmp_path: Path, first: str, other: str, headed: bool
) -> None:
    lines = [f"{first} ||| {other}", *(f"day {n} | x ||| jour, {n}" for n in range(20))]
    (tmp_path / "a.txt").write_text("\n".join(lines) + "\n")
    (table,) = tables.read(tmp_path / "a.txt")
    assert list(table.names) == ([first, other] if headed else ["column 1", "column 2"])
    rows = [(row[table.names[0]], row[table.names[1]]) for row in table.first_rows(2)]
    assert rows[0] == (("day 0 | x", "jour, 0") if headed else (first, other))
    assert len(list(table.numbers())) == 21 - headed


def test_the_one_table_of_a_folder_needs_no_suffix_of_tables(tmp_path: Path) -> None:
    pairs = tmp_path / "pairs"
    pairs.mkdir()
    text = "\n".join(f"Go to {n}.\tVa vers {n}.\tCC-BY 2 (a {n})" for n in range(30))
    (pairs / "fra.txt").write_text(text)
    (pairs / "_about.txt").write_text("About\n\nThese are pairs, as they were.\n")
    schema = Schema(content=("column 1",), label="column 2", kind="sequences")
    data = load(pairs, Text(), schema)
    assert len(data.items) == 30 and data.report.remarks[0] == "`fra.txt` is read as a table"
    with pytest.raises(DataError, match=r"fra\.txt has no header, .*give --source 'column 1'"):
        load(pairs, Text())
    rows = tmp_path / "rows"
    rows.mkdir()
    text = "\n".join(f"{n % 50},{'ab'[n % 2]},{'>50' if n % 3 else '<50'}" for n in range(60))
    (rows / "adult.data").write_text(text)
    (rows / "adult.names").write_text("| what the columns are\n")
    data = load(rows, Table(), Schema(label="column 3"))
    assert (len(data.items), data.labels) == (60, ("<50", ">50"))  # which are no numbers
    (rows / "copy.data").write_text(text)
    with pytest.raises(DataError, match="holds no items"):
        load(rows, Table(), Schema(label="column 3"))
