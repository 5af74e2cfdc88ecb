"""What label cells mean, however they are written: none, lists, whole numbers, several columns."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.contracts.cells import MISSING
from headstart.data import Dataset, Schema, load, load_labelled
from headstart.data.targets.writing import _list
from headstart.errors import DataError
from headstart.modalities.text import Text

COUNT = 60


def table(folder: Path, labels: list[Any], name: str = "a.csv") -> Path:
    """A manifest of different texts with these labels."""
    rows = [{"text": f"text {n}", "label": label} for n, label in enumerate(labels)]
    path = folder / name
    if path.suffix == ".csv":
        cells = ('"' + str(row["label"]).replace('"', '""') + '"' for row in rows)
        path.write_text("text,label\n" + "".join(f"text {n},{c}\n" for n, c in enumerate(cells)))
    elif path.suffix == ".jsonl":
        path.write_text("\n".join(map(json.dumps, rows)))
    else:
        texts = [row["text"] for row in rows]
        pq.write_table(pa.table({"text": texts, "label": labels}), path)
    return path


def cycle(*values: Any, count: int = COUNT) -> list[Any]:
    return [values[n % len(values)] for n in range(count)]


def targets(data: Dataset) -> dict[int, Any]:
    """The target of each text, by its number."""
    return {
        int(item.read().decode().split()[-1]): row
        for name in ("train", "validation", "test")
        for item, row in zip(data.split(name), data.targets(name).tolist(), strict=True)
    }


@pytest.mark.parametrize("word", sorted(MISSING))
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
def test_words_that_say_there_is_no_label(tmp_path: Path, word: str, name: str) -> None:
    data = load(table(tmp_path, [*cycle("a", "b"), word, f" {word} "], name), Text())
    assert data.labels == ("a", "b") and data.report.items == COUNT
    assert {why for _, why in data.report.skipped} == {"the row has no label"}
    text = f"labels that count as missing: {word!r} 2 (--missing '' keeps them as classes)"
    assert text in data.report.remarks


@pytest.mark.parametrize(
    ("missing", "labels"),
    [(None, ("DE", "none")), ("", ("DE", "NA", "NaN", "none")), ("NaN", ("DE", "NA", "none"))],
)
def test_such_words_are_classes_where_that_is_said(
    tmp_path: Path, missing: str | None, labels: tuple[str, ...]
) -> None:
    path = table(tmp_path, cycle("DE", "NA", "NaN", "none", ""))
    data = load(path, Text(), Schema(missing=missing))
    assert data.labels == labels


def test_a_word_that_a_model_knows_is_its_label(tmp_path: Path) -> None:
    path = table(tmp_path, cycle("DE", "NA", "NaN"))
    data = load_labelled(path, Text(), ["DE", "NA"], Schema(kind="classes"))
    assert {item.label for item in data.items} == {"DE", "NA"}


def test_a_folder_may_be_called_so(tmp_path: Path) -> None:
    for label in ("None", "1.0"):
        (tmp_path / label).mkdir()
        for n in range(20):
            (tmp_path / label / f"{n}.txt").write_text(f"{label} text {n}")
    assert load(tmp_path, Text()).labels == ("1.0", "None")


@pytest.mark.parametrize(
    "write", [str, json.dumps, lambda names: "[" + " ".join(f"'{n}'" for n in names) + "]"]
)
def test_lists_as_text_are_label_sets(tmp_path: Path, write: Any) -> None:
    sets = cycle(["red", "it's"], ["round", "red"], ["round", "red", "new one"])
    if write not in (str, json.dumps):
        sets = cycle(["red", "its"], ["round", "red"], ["round", "red", "new one"])
    data = load(table(tmp_path, [write(names) for names in sets]), Text())
    assert data.kind == "label sets"
    names = data.labels
    assert {
        n: {name for name, here in zip(names, row, strict=True) if here}
        for n, row in targets(data).items()
    } == {n: set(own) for n, own in enumerate(sets)}


@given(st.lists(st.text(max_size=5), max_size=4), st.sampled_from([str, json.dumps, repr]))
def test_a_list_comes_back_from_its_text(names: list[str], write: Any) -> None:
    assert _list(write(names)) == names


@pytest.mark.parametrize("text", ["[a] word", "(see there)", "{", "[" * 5000, "[1", "{'a': 1}"])
def test_other_text_is_no_list(text: str) -> None:
    assert _list(text) is None


def test_lists_of_numbers_as_text(tmp_path: Path) -> None:
    path = table(tmp_path, [f"[{n}, {n / 2}]" for n in range(COUNT)])
    assert targets(load(path, Text())) == {n: [n, n / 2] for n in range(COUNT)}
    numbers = load(table(tmp_path, cycle("[1, 2]", "[2]", "[]")), Text())
    assert (numbers.kind, numbers.labels) == ("label sets", ("1", "2"))


def test_a_text_among_lists_leaves_classes(tmp_path: Path) -> None:
    assert load(table(tmp_path, cycle("['a']", "b")), Text()).labels == ("['a']", "b")


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["1.0", "2.0", "3"], ("1", "2", "3")),
        (["1", "1.0", "0"], ("0", "1")),
        (["01", "02"], ("01", "02")),
        (["1.0", "b"], ("1.0", "b")),
        (["True", "false", "TRUE"], ("False", "True")),
        (["true", "maybe"], ("maybe", "true")),
    ],
)
def test_one_spelling_for_each_number_and_truth_value(
    tmp_path: Path, labels: list[str], classes: tuple[str, ...]
) -> None:
    assert load(table(tmp_path, cycle(*labels)), Text()).labels == classes


def test_a_label_that_a_model_knows_keeps_its_spelling(tmp_path: Path) -> None:
    path = table(tmp_path, cycle("1.0", "0.0"))
    for names in (["0.0", "1.0"], ["0", "1"]):
        data = load_labelled(path, Text(), names, Schema(kind="classes"))
        assert {item.label for item in data.items} == set(names)


def test_few_whole_numbers_are_classes_and_it_is_said(tmp_path: Path) -> None:
    path = table(tmp_path, cycle("1.0", "2.0", "3.0", "4.0", "5.0"))
    data = load(path, Text())
    assert data.labels == ("1", "2", "3", "4", "5")
    message = (
        "the 5 different numbers of `label` are read as classes "
        "(--targets numbers reads them as quantities)"
    )
    assert message in data.report.remarks
    assert targets(load(path, Text(), Schema(kind="numbers")))[4] == [5.0]
    assert not load(table(tmp_path, cycle("0", "1")), Text()).report.remarks


@pytest.mark.parametrize(
    ("labels", "kind"),
    [
        ([n * n for n in range(COUNT)], "numbers"),
        ([n % 30 for n in range(COUNT)], "classes"),
        ([n % 30 * 7 for n in range(COUNT)], "numbers"),
        ([n % 10 for n in range(COUNT)], "classes"),
        ([n % 25 * 3 for n in range(25 * 6)], "classes"),
        ([*(n % 25 * 3 for n in range(25 * 6)), 1000], "numbers"),
    ],
)
def test_whole_numbers_too_many_for_classes_are_numbers(
    tmp_path: Path, labels: list[int], kind: str
) -> None:
    data = load(table(tmp_path, labels), Text())
    assert data.kind == kind
    if kind == "numbers":
        assert "--targets classes reads each number of `label` as a class" in data.report.remarks


def test_decimal_commas(tmp_path: Path) -> None:
    path = table(tmp_path, [f"{n},5" for n in range(COUNT)])
    assert targets(load(path, Text())) == {n: [n + 0.5] for n in range(COUNT)}
    with pytest.raises(DataError, match=r"line 2 has '1,500' .* between thousands\. Write a point"):
        load(table(tmp_path, cycle("1,500", "2,250", "7")), Text())


@pytest.mark.parametrize("written", ["{:,}.5", "1.{:03},50", "{},5"])
def test_thousands_are_told_by_what_else_is_written(tmp_path: Path, written: str) -> None:
    labels = [written.format(n + 1000 * (written == "{:,}.5")) for n in range(COUNT)]
    start = 0.5 if written == "{},5" else 1000.5
    data = load(table(tmp_path, labels), Text())
    assert targets(data) == {n: [n + start] for n in range(COUNT)}


def test_words_with_a_bar_may_be_several_labels_and_it_is_said(tmp_path: Path) -> None:
    path = table(tmp_path, cycle("a|b", "a", "c|b"))
    data = load(path, Text())
    assert data.kind == "classes" and "(--delimiter '|' " in " ".join(data.report.remarks)
    assert load(path, Text(), Schema(delimiter="|")).labels == ("a", "b", "c")


@pytest.mark.parametrize(
    "labels",
    [
        cycle("2024-01-05", "2023-11-30"),
        cycle("2024-01-05 10:30:00", "2023-11-30T00:00:00Z"),
        cycle("5/1/2024", "30/11/2023"),
        [datetime.date(2024, 1, 1 + n % 20) for n in range(COUNT)],
        [datetime.datetime(2024, 1, 1 + n % 20) for n in range(COUNT)],
    ],
)
def test_dates_are_refused(tmp_path: Path, labels: list[Any]) -> None:
    name = "a.csv" if isinstance(labels[0], str) else "a.parquet"
    path = table(tmp_path, labels, name)
    with pytest.raises(DataError, match=r"has the date '.*' as its label"):
        load(path, Text())
    if name == "a.csv":
        assert len(load(path, Text(), Schema(kind="classes")).labels) == 2


@pytest.mark.parametrize(
    "label",
    [{"a": 1}, [{"a": 1}], b"a", datetime.timedelta(1), datetime.time(1)],
)
def test_columns_that_hold_no_label_are_one_sentence(tmp_path: Path, label: Any) -> None:
    with pytest.raises(DataError, match=r"a\.parquet row 0 has .* as its label"):
        load(table(tmp_path, [label] * 5, "a.parquet"), Text())


@pytest.mark.parametrize(
    "kind", [pa.decimal128(5, 2), pa.float16(), pa.int8(), pa.uint64(), pa.float64()]
)
def test_numbers_of_every_type(tmp_path: Path, kind: pa.DataType) -> None:
    labels = pa.array(cycle(1, 2, 3)).cast(pa.float64()).cast(pa.float32()).cast(kind)
    columns = {"text": [f"text {n}" for n in range(COUNT)], "label": labels}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    assert load(tmp_path / "a.parquet", Text()).labels == ("1", "2", "3")


def marks(folder: Path, rows: list[tuple[Any, ...]], names: str = "red,round,new") -> Path:
    body = (f"text {n}," + ",".join(map(str, cells)) for n, cells in enumerate(rows))
    (folder / "_classes.csv").write_text("\n".join([f"text, {names.replace(',', ', ')}", *body]))
    return folder / "_classes.csv"


@pytest.mark.parametrize("label", [None, "red,round,new"])
def test_columns_of_0_and_1_are_label_sets(tmp_path: Path, label: str | None) -> None:
    path = marks(tmp_path, cycle((1, 0, 0), (1, 1, 0), (0, 0, 0), (0, 1, 1)))
    data = load(path, Text(), Schema(label=label))
    assert (data.kind, data.labels) == ("label sets", ("new", "red", "round"))
    expected = cycle([0, 1, 0], [0, 1, 1], [0, 0, 0], [1, 0, 1])
    assert targets(data) == dict(enumerate(expected))
    assert "the label columns of 0 and 1 are red, round, new" in data.report.remarks


def test_one_1_in_each_row_makes_classes(tmp_path: Path) -> None:
    path = marks(tmp_path, cycle((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)))
    data = load(path, Text())
    assert (data.kind, data.labels) == ("classes", ("new", "red", "round"))
    assert targets(data)[1] == 2
    assert load(path, Text(), Schema(kind="label sets")).kind == "label sets"
    numbers = load(path, Text(), Schema(kind="numbers"))
    assert (numbers.labels, targets(numbers)[1]) == (("red", "round", "new"), [0, 1, 0])


def test_a_minus_1_beside_1_alone_is_0(tmp_path: Path) -> None:
    path = marks(tmp_path, cycle((1, -1, 1), (-1, 1, 1)))
    data = load(path, Text(), Schema(label="red,round,new"))
    assert (targets(data)[0], targets(data)[1]) == ([1, 1, 0], [1, 0, 1])


def test_marks_that_are_uncertain_or_missing(tmp_path: Path) -> None:
    rows = [*cycle((1, 0, 1), (1, 1, 0), ("", 1, "")), (-1, 0, 1), ("", "", "")]
    data = load(marks(tmp_path, rows), Text(), Schema(label="red,round,new"))
    assert targets(data)[2] == [0, 0, 1]
    assert COUNT not in targets(data) and COUNT + 1 not in targets(data)
    assert "40 empty cells of them count as 0" in data.report.remarks
    assert "1 rows with a -1 have no certain labels and are left out" in data.report.remarks


def test_several_columns_of_numbers(tmp_path: Path) -> None:
    rows = [(n, n / 2, 7 - n) for n in range(COUNT)]
    path = marks(tmp_path, rows)
    data = load(path, Text(), Schema(label="red, new"))
    assert (data.kind, data.labels) == ("numbers", ("red", "new"))
    assert targets(data)[3] == [3, 4]


@pytest.mark.parametrize(
    ("rows", "schema", "message"),
    [
        (cycle((1, 0, 3), (0, 1, 4)), Schema(), r"no column 'label'.*of 0 and 1 by --label red,ro"),
        (cycle((1, 2, 3)), Schema(), r"no column 'label'; .*\(--label, or label= from Python\)\."),
        (cycle((1, 2, "odd")), Schema(label="red,new"), "line 2 has 'odd' in the label column 'ne"),
        (cycle((1, 2, 0)), Schema(label="red,round", kind="label sets"), "has '2' in .* 'round'"),
        (cycle((1, 1, 0)), Schema(label="red,round,new", kind="classes"), "a 1 in 2 label columns"),
        (cycle((1, 1, 0)), Schema(label="red,blue"), "no column 'blue'"),
    ],
)
def test_several_columns_that_are_refused(
    tmp_path: Path, rows: list[tuple[Any, ...]], schema: Schema, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        load(marks(tmp_path, rows), Text(), schema)


@pytest.mark.parametrize(
    ("header", "row", "numbers"),
    [
        ("width,length,kind", "{n},{n}.5,{k}", True),
        ("width,length", "{n},{n}.5", True),
        ("width,label", "{n}.5,{k}", True),
        ("motto,width,length,depth", "some words {n},{n},{n}.5,{n}", False),
        ("motto,label", "some words {n},{k}", False),
        ("one,two", "{k},{k}", False),
    ],
)
def test_a_table_of_numbers_alone_is_told_apart(
    tmp_path: Path, header: str, row: str, numbers: bool
) -> None:
    body = [row.format(n=n, k="ab"[n % 2]) for n in range(COUNT)]
    (tmp_path / "a.csv").write_text("\n".join([header, *body]))
    try:
        load(tmp_path / "a.csv", Text())
    except DataError as error:
        assert ("is a table of numbers without texts" in str(error)) == numbers
    else:
        assert not numbers
