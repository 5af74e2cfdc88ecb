"""Kinds of target: which one a table's labels are of, what is refused, and what is said of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import write_pictures
from hypothesis import given
from hypothesis import strategies as st

from headstart import catalog
from headstart.data import Dataset, Schema, load, load_labelled
from headstart.data.sources import Contents, InlineSource, Row
from headstart.data.targets import kind_named, kind_of
from headstart.errors import DataError, HeadstartError
from headstart.modalities.image import Image
from headstart.modalities.text import Text

COUNT = 60


def table(folder: Path, labels: list[Any], name: str = "list.jsonl", first: int = 0) -> Path:
    """A manifest of different texts with these labels."""
    lines = [{"text": f"text {first + n}", "label": label} for n, label in enumerate(labels)]
    path = folder / name
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


def as_csv(folder: Path, labels: list[str]) -> Path:
    rows = [f'text {n},"{label}"' for n, label in enumerate(labels)]
    path = folder / "list.csv"
    path.write_text("\n".join(["text,mark", *rows]))
    return path


def cycle(values: list[Any], count: int = COUNT) -> list[Any]:
    return [values[n % len(values)] for n in range(count)]


def everything(data: Dataset) -> dict[str, Any]:
    """Each item's content and its row of targets."""
    values = {}
    for name in ("train", "validation", "test"):
        for item, row in zip(data.split(name), data.targets(name).tolist(), strict=True):
            values[item.read().decode()] = row
    return values


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2, 3], "classes"),
        (["1", "2"], "classes"),
        ([1.0, 2.0], "classes"),
        (["a", "b"], "classes"),
        ([True, False], "classes"),
        (["1_5.5", "a"], "classes"),
        (["0.5", "a", "b"], "classes"),
        (["3.50", "10"], "numbers"),
        ([1, 2.5], "numbers"),
        (["1e-3", " -2 ", None], "numbers"),
        ([[1, 2.0], [3, 4]], "numbers"),
        ([["a"], ["a", "b"]], "label sets"),
        ([["a"], []], "label sets"),
        ([[], []], "label sets"),
        ([], "classes"),
    ],
)
def test_the_kind_is_told_from_the_values(values: list[Any], kind: str) -> None:
    rows = [Row("", "", value, None, InlineSource(b"")) for value in values]
    assert kind_of(Contents(Path(), tuple(rows)), Schema()).name == kind
    assert kind_of(Contents(Path(), tuple(rows)), Schema(delimiter="|")).name == "label sets"
    for name in catalog.TARGETS:
        assert kind_of(Contents(Path(), tuple(rows)), Schema(kind=name)).name == name


def test_a_kind_that_is_not_known_or_contradicted() -> None:
    with pytest.raises(HeadstartError, match=r"'number' is not known\. Did you mean 'numbers'"):
        kind_of(Contents(Path(), ()), Schema(kind="number"))
    with pytest.raises(DataError, match="can't have a delimiter between labels where numbers"):
        kind_of(Contents(Path("a.csv"), ()), Schema(kind="numbers", delimiter="|"))


def test_numbers(tmp_path: Path) -> None:
    data = load(as_csv(tmp_path, [str(n / 4) for n in range(COUNT)]), Text())
    assert (data.kind, data.labels) == ("numbers", ("mark",))
    assert data.targets("train").dtype == np.float32
    assert data.targets("train").shape == (len(data.split("train")), 1)
    assert everything(data) == {f"text {n}": [n / 4] for n in range(COUNT)}
    assert "`mark` is read as numbers" in data.report.remarks
    record = data.report.to_json()
    assert record["kind"] == "numbers"
    assert {name: counts["items"] for name, counts in record["splits"].items()} == record["sizes"]
    assert f"{COUNT} items with one number; train, validation" in str(data.report)
    own = data.targets("test")
    text = f"mark {own.min():.4g} to {own.max():.4g}, mean {own.mean():.4g}"
    assert data.report.spread["test"] == text and text in str(data.report)
    assert json.loads(json.dumps(record)) == record


def test_several_numbers(tmp_path: Path) -> None:
    data = load(table(tmp_path, [[n, -n / 2] for n in range(COUNT)]), Text())
    assert data.labels == ("label 1", "label 2")
    assert everything(data) == {f"text {n}": [n, -n / 2] for n in range(COUNT)}
    assert "with 2 numbers" in str(data.report)


def test_whole_numbers_are_numbers_where_those_are_wanted(tmp_path: Path) -> None:
    path = table(tmp_path, cycle([1, 2, 3]))
    assert load(path, Text()).kind == "classes"
    data = load(path, Text(), Schema(kind="numbers"))
    assert set(everything(data)["text 1"]) == {2.0}


def test_folders_named_by_numbers(tmp_path: Path) -> None:
    ages = write_pictures(tmp_path / "ages", {"0.5": 20, "7": 20}, size=4)
    assert load(ages, Image()).labels == ("0.5", "7")
    data = load(ages, Image(), Schema(kind="numbers"))
    assert data.labels == ("value",)
    assert set(data.targets("train").ravel().tolist()) == {0.5, 7.0}
    assert "the folders' names are read as numbers" in data.report.remarks


@pytest.mark.parametrize(
    ("labels", "schema", "message"),
    [
        (["1.5"] * 20 + ["odd"], Schema(), r"list\.jsonl line 21 has 'odd' as its label"),
        (["1", "odd"], Schema(kind="numbers"), r"line 2 has 'odd' .* no finite number"),
        ([1, float("inf")], Schema(kind="numbers"), r"line 2 has inf .* no finite number"),
        ([1, True], Schema(kind="numbers"), r"line 2 has True"),
        ([[1.5, 2], [3.5, None]], Schema(kind="numbers"), r"line 2 has None"),
        ([[1.5, 2], [3.5]], Schema(), r"list\.jsonl#2 in .* has 1 number as its label, not 2"),
        ([1.5] * 9, Schema(), r"the same number for every item, 1\.5"),
        ([["a"]] * 9, Schema(), r"the same labels for every item: 'a'"),
        ([[]] * 9, Schema(), r"the same labels for every item: none"),
        (["a|b", "b"], Schema(kind="label sets"), r"line 1 has 'a\|b' .* nothing says what parts"),
        ([["a"], [{}]], Schema(), r"line 2 has \[\{\}\] as its labels, which is no list of names"),
        ([["a"], 7], Schema(), r"line 2 has 7 as its labels"),
        (
            [["a"], "b"],
            Schema(kind="classes"),
            r"line 1 has \['a'\] as its label, which is neither",
        ),
        ([None, ""], Schema(kind="numbers"), r"the first, list\.jsonl#1: the row has no label"),
    ],
)
def test_labels_of_the_wrong_kind_are_one_sentence(
    tmp_path: Path, labels: list[Any], schema: Schema, message: str
) -> None:
    path = table(tmp_path, labels)
    with pytest.raises(DataError, match=message) as raised:
        load(path, Text(), schema)
    assert str(path) in str(raised.value) and "\n" not in str(raised.value)


def test_rows_without_a_number_are_listed(tmp_path: Path) -> None:
    labels = [*("0.5", "1.5") * 20, "", "nan", None, float("nan")]
    data = load(table(tmp_path, labels), Text())
    assert data.report.items == 40
    assert [name for name, _ in data.report.skipped] == [f"list.jsonl#{n}" for n in range(41, 45)]


@pytest.mark.parametrize("delimited", [True, False])
def test_label_sets(tmp_path: Path, delimited: bool) -> None:
    sets: list[list[str]] = cycle([["red"], ["round", "red"], [], ["round", "red", "red "], ["é"]])
    if delimited:
        schema = Schema(delimiter="; ", label="mark")
        data = load(as_csv(tmp_path, ["; ".join(each) for each in sets]), Text(), schema)
    else:
        data = load(table(tmp_path, sets), Text())
    assert (data.kind, data.labels) == ("label sets", ("red", "round", "é"))
    expected = [[1, 0, 0], [1, 1, 0], [0, 0, 0], [1, 1, 0], [0, 0, 1]]
    assert everything(data) == {f"text {n}": expected[n % 5] for n in range(COUNT)}
    assert data.targets("test").dtype == np.float32
    report = data.report
    assert report.splits["train"]["red"] == int(data.targets("train")[:, 0].sum())
    assert f"{COUNT} items with sets of 3 labels" in str(report)
    assert "without any" in report.spread["train"] and "labels an item" in report.spread["train"]
    assert any("is read as label sets" in sentence for sentence in report.remarks)


def test_class_labels_in_a_list_become_names(tmp_path: Path) -> None:
    meta = {"info": {"features": {"label": [{"names": ["ant", "bee"], "_type": "ClassLabel"}]}}}
    for features in (meta["info"]["features"]["label"], {"feature": {"names": ["ant", "bee"]}}):
        columns = {
            "text": [f"text {n}" for n in range(COUNT)],
            "label": cycle([[0], [0, 1], [1], []]),
        }
        text = json.dumps({"info": {"features": {"label": features}}})
        table = pa.table(columns).replace_schema_metadata({"huggingface": text})
        pq.write_table(table, tmp_path / "a.parquet", row_group_size=7)
        data = load(tmp_path / "a.parquet", Text())
        assert data.labels == ("ant", "bee")
        assert everything(data)["text 1"] == [1, 1]


def test_labels_of_which_training_says_nothing_are_warned_of(tmp_path: Path) -> None:
    table(tmp_path, cycle([["a", "b"], ["a"]], 40), "train.jsonl")
    table(tmp_path, cycle([["a", "b"], ["c"]], 10), "val.jsonl", 100)
    table(tmp_path, cycle([["a", "b"], ["c"]], 10), "test.jsonl", 200)
    warnings = load(tmp_path, Text()).report.warnings
    assert "Labels that no training item has, so that they are never predicted: 'c'." in warnings
    assert (
        "Labels that every training item has, so that they are always predicted: 'a'." in warnings
    )


def test_rare_labels_are_warned_of(tmp_path: Path) -> None:
    data = load(table(tmp_path, [["rare", "often"]] * 4 + cycle([["often"], []])), Text())
    count = data.report.splits["train"]["rare"]
    assert 0 < count < 10
    assert f"Labels of fewer than 10 training items: 'rare' {count}." in data.report.warnings


def test_training_that_does_not_vary_is_refused(tmp_path: Path) -> None:
    table(tmp_path, [1.5] * 20, "train.jsonl")
    for first, name in ((100, "val.jsonl"), (200, "test.jsonl")):
        table(tmp_path, cycle([1.5, 2.5], 10), name, first)
    with pytest.raises(DataError, match=r"the same number for every item, 1\.5"):
        load(tmp_path, Text())


def test_numbers_that_do_not_vary_in_a_split_are_warned_of(tmp_path: Path) -> None:
    table(tmp_path, [[n / 2, 1] for n in range(20)], "train.jsonl")
    for first, name in ((100, "val.jsonl"), (200, "test.jsonl")):
        table(tmp_path, [[n / 2, n] for n in range(10)], name, first)
    warnings = load(tmp_path, Text()).report.warnings
    assert warnings == ("Numbers that are the same throughout train: 'label 2'.",)


def test_few_items_still_fill_every_split(tmp_path: Path) -> None:
    data = load(table(tmp_path, [0.5, 1.5, 2.5, 3.5]), Text())
    assert all(data.split(name) for name in ("train", "validation", "test"))
    assert len(data.split("train")) >= 1


def test_conflicts_count_for_every_kind(tmp_path: Path) -> None:
    path = table(tmp_path, [n / 4 for n in range(40)])
    again = json.dumps({"text": "TEXT  3", "label": 9.75})
    same = json.dumps({"text": "Text 4", "label": 1.0})
    path.write_text(f"{path.read_text()}\n{again}\n{same}")
    report = load(path, Text()).report
    assert report.conflicts == ((("list.jsonl#4", "0.75"), ("list.jsonl#41", "9.75")),)
    assert report.duplicates == (("list.jsonl#42", "list.jsonl#5"),)


def test_evaluation_by_numbers_and_sets(tmp_path: Path) -> None:
    numbers = table(tmp_path, [1, 2, 3])
    data = load_labelled(numbers, Text(), ["price"], Schema(kind="numbers"))
    assert data.labels == ("price",)
    assert data.targets("test").tolist() == [[1], [2], [3]]
    with pytest.raises(DataError, match=r"has 1 number as its label, not 2"):
        load_labelled(numbers, Text(), ["price", "area"], Schema(kind="numbers"))
    sets = table(tmp_path, [["a"], ["b", "a"], []], "sets.jsonl")
    data = load_labelled(sets, Text(), ["c", "b", "a"], Schema(kind="label sets"))
    assert data.targets("test").tolist() == [[0, 0, 1], [0, 1, 1], [0, 0, 0]]
    with pytest.raises(DataError, match="has the label 'b', which is not one of 'a'"):
        load_labelled(sets, Text(), ["a"], Schema(kind="label sets"))


@given(st.lists(st.sampled_from("abc"), max_size=4), st.lists(st.sampled_from("abc"), max_size=4))
def test_equal_sets_are_equal_strings(one: list[str], other: list[str]) -> None:
    kind = kind_named("label sets")
    texts = [kind.read(Row("", "", each, None, None)) for each in (one, other)]
    assert (texts[0] == texts[1]) == (set(one) == set(other))


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1))
def test_numbers_survive_being_written(values: list[float]) -> None:
    kind = kind_named("numbers")
    text = kind.read(Row("", "", values, None, None))
    assert text is not None
    names = tuple(map(str, range(len(values))))
    assert kind.encode([text], names).tolist() == [values]
