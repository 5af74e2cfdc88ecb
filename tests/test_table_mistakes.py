"""What is said of tables that can't be learned from, and of runs that were stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import headstart as hs
from headstart import catalog
from headstart.contracts.related import Related
from headstart.data import Schema, load
from headstart.errors import DataError
from headstart.modalities.table.dates import days
from headstart.pipeline.likeness import warning
from headstart.report.words import further

ROWS = [f"{10 * n},{'AB'[n % 2]},{1000 * n + n * 37 % 11}" for n in range(1, 31)]
KINDS = [f"{'AB'[n % 2]},{'xyz'[n % 3]},{'pq'[n % 2]}" for n in range(30)]


@pytest.mark.parametrize(
    ("header", "rows", "backbone", "message"),
    [
        ("area,town,price", ["100,A,5"], None, "has one row besides its header. Give more rows"),
        ("area,town,price", [], None, "has no row besides its header"),
        ("area,price", [f"{n}," for n in range(4)], None, "no label. Fill in some labels"),
        ("area,price", ["1,0", "2,5", "3,10"], None, "leaves one item to learn from"),
        ("price", [str(n) for n in range(30)], None, "no column to learn from besides the label"),
        ("a,price", [f"x,{n}" for n in range(30)], None, "conflicting labels"),
        ("town,kind,price", KINDS, "seeded:convnet", "--image.*-b table:columns"),
        ("town,kind,price", KINDS, "seeded:text-encoder", "--text.*-b table:columns"),
        ("area,town,price", ROWS, "seeded:convnet", "without pictures.*-b table:columns"),
    ],
)
def test_a_wrong_table_is_told_what_to_do(
    header: str, rows: list[str], backbone: str | None, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "table.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    with pytest.raises(DataError, match=message):
        hs.fit(path, backbone, tmp_path / "out", label="price", progress=False)
    assert not (tmp_path / "out").exists()


def test_a_sentence_on_columns_begins_with_no_semicolon(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    texts = [f"a long remark on house {n} indeed,{n}" for n in range(30)]
    path.write_text("\n".join(["notes,price", *texts]) + "\n")
    with pytest.raises(DataError, match=r"'notes', 'price'; left out: `notes`, .*text=REF"):
        hs.fit(path, "table:columns", tmp_path / "out", label="price", progress=False)


@pytest.mark.parametrize("extra", ["note", "id"])
def test_a_column_that_rows_are_made_without_is_no_label(extra: str, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    words = {"note": "a long remark on house number", "id": "house-"}
    rows = [f"{10 * n},{'AB'[n % 2]},{words[extra]} {n}" for n in range(1, 41)]
    path.write_text("\n".join([f"area,town,{extra}", *rows]) + "\n")
    with pytest.raises(DataError, match=r"no column 'label'.*Say which one holds the label"):
        hs.fit(path, "table:columns", tmp_path / "out", progress=False)


def test_columns_that_count_rows_by_their_names_are_named_and_quantities_are_read(
    tmp_path: Path,
) -> None:
    rows = "".join(f"{n},{n % 3},{n + 1},{n % 7},{n % 5}.5\n" for n in range(40))
    (tmp_path / "a.csv").write_text(f"id,index,no,size,price\n{rows}")
    data = load(tmp_path / "a.csv", catalog.modality("table"), Schema(label="price"))
    (remark,) = [each for each in data.report.remarks if "numbers `" in each]
    assert "numbers `index`, `size`" in remark
    assert "left out: `id`, `no`, which each counts rows by its name" in remark


def test_an_empty_table_is_called_so(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(b"")
    with pytest.raises(DataError, match=r"table\.csv is empty\. Give a table with a header"):
        hs.fit(path, "table:columns", tmp_path / "out", label="price", progress=False)


def test_a_tables_own_columns_are_no_source_that_is_too_unlike() -> None:
    far: dict[str, Any] = {"far": True, "said": ["Frozen features are worth nothing."]}
    assert warning(far, catalog.load_backbone("table:columns")) == ""
    assert warning(far, catalog.load_backbone("seeded:convnet")).endswith("Try another -b.")
    table = catalog.load_backbone("table:columns")
    table.related = [Related.__new__(Related)]
    assert warning(far, table).endswith("Leave out --from.")


def test_a_stopped_run_without_scratch_says_nothing_of_scratch() -> None:
    text = " ".join(further({"proof": "stopped"}))
    assert "stopped" in text and "scratch" not in text
    assert "scratch" in " ".join(further({"proof": "unfinished"}))


def test_infinite_cells_count_as_missing_and_are_said(tmp_path: Path) -> None:
    rows = [f"{10 + n}.5,{n}\n" for n in range(40)]
    rows[3], rows[5], rows[7] = "inf,3\n", "-inf,5\n", "∞,7\n"
    path = tmp_path / "rows.csv"
    path.write_text("area,price\n" + "".join(rows), encoding="utf-8")
    cells = [row.partition(",")[0] for row in rows]
    used, message = catalog.modality("table").columns_of({"area": cells})
    assert used == ("area",)
    assert "`area` holds 3 infinite values, which count as missing" in message
    settings: dict[str, Any] = {"evidence": "none", "scratch": False, "label": "price"}
    hs.fit(path, "table:columns", tmp_path / "model", **settings)
    model = hs.load(tmp_path / "model")
    (endless,), (half,) = model.predict({"area": "inf"}), model.predict({"area": "30.5"})
    assert 0 < endless.answer["value"] < 40 and abs(half.answer["value"] - 20) < 3


def test_a_cell_of_another_kind_in_a_row_that_is_held_out_is_named(tmp_path: Path) -> None:
    rows = [f"{10 + n}.5,{n},{'test' if n > 30 else 'train'}\n" for n in range(40)]
    rows[35] = "unclear,35,test\n"
    path = tmp_path / "rows.csv"
    path.write_text("area,price,split\n" + "".join(rows))
    with pytest.raises(DataError, match=r"rows.csv.* can't be used: its 'area' is 'unclear'"):
        hs.fit(path, "table:columns", tmp_path / "model", label="price", evidence="none")


def test_numbers_as_labels_that_one_word_makes_classes_are_told(tmp_path: Path) -> None:
    rows = [f"{10 + n % 7},{1000 + 3 * n}\n" for n in range(40)]
    rows[3] = "12,inf\n"
    path = tmp_path / "rows.csv"
    path.write_text("area,price\n" + "".join(rows))
    with pytest.raises(DataError, match="are numbers but for 'inf', and so are read as classes"):
        hs.fit(path, "table:columns", tmp_path / "model", label="price", evidence="none")


@pytest.mark.parametrize(
    "text", ["5 Jan 2020", "05-Jan-2020", "January 5th, 2020", "Jan 5, 2020", "2020/1/5"]
)
def test_dates_whose_month_is_a_word_are_read(text: str) -> None:
    assert days(text, "day") == days(text, "month") == days("2020-01-05", "iso")
    assert days("12 Smarch 2020", "day") is None and days("may 2020", "day") is None
