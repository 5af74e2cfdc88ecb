"""Rows of tables as items: columns told apart, models made and used, other tables beside."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import headstart as hs
from headstart import catalog
from headstart.data import Schema, load, recognise
from headstart.errors import DataError, HeadstartError
from headstart.modalities.table import Table
from headstart.modalities.table.columns import kind_of

QUICK: dict[str, Any] = {"evidence": "none", "progress": False}


def house(number: int) -> dict[str, Any]:
    """One sale, its price said by what stands beside it."""
    rng = np.random.default_rng(number)
    area, beds = int(rng.integers(60, 300)), int(rng.integers(1, 6))
    town, pool = str(rng.choice(["Alton", "Byton", "Ceton"])), bool(rng.integers(2))
    day = f"2024-{int(rng.integers(1, 13)):02}-{int(rng.integers(1, 29)):02}"
    price = 1000 * area + 9000 * beds + 40_000 * (town == "Alton") + 20_000 * pool
    return {
        "ref": f"h{number:05}",
        "area": "" if number % 17 == 0 else area,
        "beds": beds,
        "town": town,
        "pool": "yes" if pool else "no",
        "sold": day,
        "state": "CA",
        "notes": "",
        "price": f"${price + int(rng.normal(0, 5000)):,}",
    }


def write(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture(scope="module")
def houses(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("data") / "houses.csv", [house(n) for n in range(60)])


@pytest.fixture(scope="module")
def model(houses: Path) -> Path:
    out = houses.parent / "model"
    hs.fit(houses, out=out, label="price", **QUICK)
    return out


@pytest.mark.parametrize(
    ("name", "cells", "kind"),
    [
        ("a", ["1", "2.5", None], "number"),
        ("a", ["1,5", "2,25"], "number"),
        ("a", ["$1,200", "$900"], "number"),
        ("a", ["yes", "No"], "boolean"),
        ("a", [f"h{n:05}" for n in range(6)], "id"),  # few, and codes of rows all the same
        ("a", ["A1", "B2", "A1", "B2", "C3", "A1"], "category"),
        ("a", ["2024-01-02", "2024-03-04"], "date"),
        ("a", ["31.12.2024", "01.01.2025"], "date"),
        ("a", ["red", "blue", "red"], "category"),
        ("a", ["00012", "00345"], "category"),
        ("a", ["x", "x"], "constant"),
        ("a", [None, "", "NA"], "empty"),
        ("customer_id", ["5", "9", "7"], "id"),
        ("row", [str(n) for n in range(30)], "id"),
        ("a", [f"u{n}" for n in range(30)], "id"),
        ("a", [f"a long remark on house {n} indeed" for n in range(30)], "text"),
    ],
)
def test_a_column_is_told_by_its_cells(name: str, cells: list[str | None], kind: str) -> None:
    assert kind_of(name, cells).name == kind


def test_rows_are_recognised_and_columns_are_said(houses: Path) -> None:
    modalities = {name: catalog.modality(name) for name in catalog.names("modalities")}
    assert recognise(houses, modalities, Schema(label="price")) == "table"
    text = " ".join(load(houses, Table(), Schema(label="price")).report.remarks)
    assert "numbers `area`, `beds`; categories `town`; dates `sold`; yes or no `pool`" in text
    assert "`ref`, which only tells rows apart" in text
    assert "`state`, which holds one value" in text and "`notes`, which holds no value" in text


def test_a_table_is_learned_from_and_answers_rows(model: Path, houses: Path) -> None:
    predictor = hs.load(model)
    cheap = {"area": 80, "beds": 2, "town": "Byton", "pool": "no", "sold": "2024-05-05"}
    dear = {"area": 280, "beds": 2, "town": "Alton", "pool": "yes", "sold": "2024-05-05"}
    low, high = (each.answer["value"] for each in predictor.predict([cheap, dear]))
    assert low < 140_000 and high > 290_000
    assert len(predictor.predict(houses)) == 60
    unseen = {**cheap, "town": "Nowhere", "beds": None, "more": 1}
    assert 50_000 < predictor.predict(unseen)[0].answer["value"] < 200_000
    assert hs.evaluate(model, write(houses.parent / "new.csv", [house(n) for n in range(90, 130)]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"beds": "many"}, "its 'beds' is 'many', which is no number as in training"),
        ({"sold": "soon"}, "its 'sold' is 'soon', which is no date"),
        ({"pool": "maybe"}, "its 'pool' is 'maybe', which is no yes or no"),
        ({"beds": {"n": 1}}, "column 'beds' holds dict, which is no plain value"),
    ],
)
def test_a_cell_of_another_kind_is_refused(
    model: Path, change: dict[str, Any], message: str
) -> None:
    row = {"area": 80, "beds": 2, "town": "Byton", "pool": "no", "sold": "2024-05-05"}
    with pytest.raises(DataError, match=message):
        hs.load(model).predict({**row, **change})


def test_a_missing_column_is_named(model: Path) -> None:
    with pytest.raises(DataError, match=r"no column 'beds', which the model reads.* Add it, empty"):
        hs.load(model).predict({"area": 80, "town": "Byton", "pool": "no", "sold": "2024-05-05"})


def test_the_saved_model_holds_no_code_and_is_read_as_a_strangers(
    model: Path, tmp_path: Path
) -> None:
    names = {path.suffix for path in model.rglob("*") if path.is_file()}
    assert not names & {".pkl", ".pickle", ".joblib", ".pt"}
    content = json.loads((model / "columns.json").read_text())
    assert Table().accepts(content)
    changes: tuple[dict[str, Any], ...] = ({"width": 1}, {"columns": []}, {"more": 1})
    for change in changes:
        assert not Table().accepts({**content, **change})
    broken = json.loads(json.dumps(content))
    broken["columns"][0]["scale"] = 0.0
    assert not Table().accepts(broken)


ALIKE = {"price": [str(1000 * n) for n in range(12)], "area": [str(n % 7) for n in range(12)]}


@pytest.mark.parametrize(
    ("table", "label", "message"),
    [
        (ALIKE, None, r"has no column 'label'; its columns: 'price', 'area'\. Say which"),
        (ALIKE, "cost", r"has no column 'cost'"),
        ({"price": ["1"] * 12, "area": ALIKE["area"]}, "price", r"only one class|same number"),
        ({"price": [""] * 12, "area": ALIKE["area"]}, "price", r"no usable item"),
        ({"price": ALIKE["price"], "area": ["7"] * 12}, "price", r"no column to learn from"),
        ({"price": ALIKE["price"], "area": [""] * 12}, "price", r"no column to learn from"),
        ({"price": ["1000"], "area": ["3"]}, "price", r"\. "),
    ],
)
def test_a_table_that_can_not_be_learned_from_is_one_sentence(
    tmp_path: Path, table: dict[str, list[str]], label: str | None, message: str
) -> None:
    rows = [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]
    place = write(tmp_path / "a.csv", rows)
    with pytest.raises(HeadstartError, match=message) as caught:
        hs.fit(place, "table:columns", tmp_path / "out", label=label, **QUICK)
    assert "\n" not in str(caught.value) and not (tmp_path / "out").exists()


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("price,area,area\n" + "1,2,3\n4,5,6\n" * 9)
    with pytest.raises(DataError, match="two columns called 'area'"):
        hs.fit(tmp_path / "a.csv", "table:columns", tmp_path / "out", label="price", **QUICK)


def test_a_column_that_is_the_label_is_said(tmp_path: Path) -> None:
    rows = [{**house(n), "eur": n * 1.5 + 7, "price": n * 1000} for n in range(40)]
    place = write(tmp_path / "a.csv", rows)
    result = hs.fit(place, out=tmp_path / "out", label="price", **QUICK)
    assert any("`eur` says the label by itself" in line for line in result.evidence.warnings)
    again = hs.fit(place, out=tmp_path / "second", label="price", drop=["eur"], **QUICK)
    assert not any("by itself" in line for line in again.evidence.warnings)


def test_rows_of_one_content_and_several_prices_are_kept(tmp_path: Path) -> None:
    rows = [{"area": n % 9, "beds": n % 4, "price": 1000 * n} for n in range(72)]
    dataset = load(write(tmp_path / "a.csv", rows), Table(), Schema(label="price", kind="numbers"))
    assert len(dataset.items) == 72 and not dataset.report.conflicts
    splits = {name: {item.identity for item in dataset.split(name)} for name in ("train", "test")}
    assert not splits["train"] & splits["test"]


MAP = """
"others.csv":
  label: {from: cost, factor: 1}
  columns:
    area: {from: surface, factor: 10}
    beds: rooms
    town: {from: place, values: {A: Alton, B: Byton}}
"""


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A few rows of the target and many of a table in other words."""
    monkeypatch.chdir(tmp_path)
    others = [
        {
            "surface": (house(n)["area"] or 100) / 10,
            "rooms": house(n)["beds"],
            "place": house(n)["town"][0],
            "cost": house(n)["price"],
        }
        for n in range(300, 420)
    ]
    few = write(tmp_path / "few.csv", [house(n) for n in range(10)])
    return few, write(tmp_path / "others.csv", others)


def test_without_a_mapping_one_is_proposed_and_nothing_is_learned(pair: tuple[Path, Path]) -> None:
    few, others = pair
    with pytest.raises(HeadstartError, match=r"columns\.yaml: .*give it by --map columns\.yaml"):
        hs.fit(few, out="out", label="price", sources=[str(others)], **QUICK)
    text = Path("columns.yaml").read_text()
    assert '"area":\n      from: "surface"\n      standardise: true' in text
    assert "not mapped: " in text and not Path("out").exists()


def test_few_rows_learn_from_another_table(pair: tuple[Path, Path]) -> None:
    few, others = pair
    Path("map.yaml").write_text(MAP)
    options: dict[str, Any] = {"label": "price", "sources": [str(others)], "map": "map.yaml"}
    result = hs.fit(few, out="out", **options, **QUICK)
    content = result.evidence.to_json()
    assert content["alone"] and content["strategy"].endswith("source-prior")
    assert content["gain"]["value"] > 0 and "scratch" in content["arms"]
    dear = {"area": 280, "beds": 2, "town": "Alton", "pool": "yes", "sold": "2024-05-05"}
    assert abs(hs.load("out").predict(dear)[0].answer["value"] - 358_000) < 60_000
    ranking = hs.rank(few, **options, progress=False)
    assert "others.csv" in str(ranking) and "no other table" in str(ranking)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("surface", "size", r"names 'size', which is no column of others\.csv"),
        ("factor: 10", "factor: -1", r"has the factor -1 for 'area'"),
        ("factor: 10", "times: 2", r"says 'times' of 'area'"),
        ("beds: rooms", "bedz: rooms", r"names 'bedz', which is no column that is read"),
        ("beds: rooms", "beds: cost", r"has the label of others\.csv, 'cost', among its columns"),
        ('"others.csv":', '"another.csv":', r"does not say `label` and `columns` of others"),
        ("from: cost", "from: [", r"is no YAML"),
    ],
)
def test_a_mapping_that_does_not_fit_is_refused(
    pair: tuple[Path, Path], before: str, after: str, message: str
) -> None:
    few, others = pair
    Path("map.yaml").write_text(MAP.replace(before, after, 1))
    with pytest.raises(HeadstartError, match=message):
        hs.fit(few, out="out", label="price", sources=[str(others)], map="map.yaml", **QUICK)


def test_other_tables_are_for_tables(pair: tuple[Path, Path], pictures: Path) -> None:
    with pytest.raises(HeadstartError, match="reads no rows of tables"):
        hs.fit(pictures, "seeded:convnet", "out", sources=["others.csv"], **QUICK)
    with pytest.raises(HeadstartError, match="--map has no table to map"):
        hs.fit(pair[0], out="out", label="price", map="map.yaml", **QUICK)


def test_arrays_of_numbers_are_rows(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(60, 3))
    targets = inputs @ [3.0, -2.0, 0.5] + rng.normal(0, 0.1, 60)
    hs.fit((inputs, targets), "table:columns", tmp_path / "out", **QUICK)
    answers = hs.load(tmp_path / "out").predict(inputs[:5])
    np.testing.assert_allclose([a.answer["value"] for a in answers], targets[:5], atol=0.5)


def test_the_label_of_one_task_is_no_input_of_another(houses: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    hs.fit(houses, out=out, label=["price", "pool"], scratch=False, **QUICK)
    for task in ("price", "pool"):
        columns = json.loads((out / task / "columns.json").read_text())["columns"]
        assert [column["name"] for column in columns] == ["area", "beds", "town", "sold"]
    (answer,) = hs.load(out).predict({"area": 280, "beds": 2, "town": "Alton", "sold": ""})
    assert set(answer.tasks) == {"price", "pool"}


def test_a_model_of_rows_learns_from_more(houses: Path, model: Path, tmp_path: Path) -> None:
    new = write(tmp_path / "new.csv", [house(n) for n in range(500, 530)])
    refit = hs.refit(model, new, tmp_path / "refit", anyway=True, progress=False)
    own = [json.loads((folder / "columns.json").read_text()) for folder in (model, refit.folder)]
    assert own[0] == own[1]
