"""Rows whose cells lie outside what was learned from are said so, and rows come by a pipe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import headstart as hs
from headstart.cli import app
from headstart.modalities.table import Table, encoding

ROWS = [
    {
        "share": f"{n % 40} %",
        "size": str(100 + n * 7 % 60),
        "day": f"2024-03-{1 + n % 28:02}",
        "town": "AB"[n % 2],
    }
    for n in range(60)
]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, {}),
        ({"share": "0.12"}, {"share": "0 to 39 with %"}),  # which is no 12 %
        ({"share": "55 %"}, {"share": "0 to 39"}),
        ({"size": "160"}, {"size": "100 to 159"}),
        ({"size": ""}, {}),
        ({"day": "2023-12-31"}, {"day": "2024-03-01 to 2024-03-28"}),
        ({"town": "C", "size": "99"}, {"town": "A, B", "size": "100 to 159"}),
    ],
)
def test_a_cell_outside_of_what_was_seen_is_named(
    change: dict[str, str], expected: dict[str, str]
) -> None:
    specs = encoding.fitted(ROWS)
    assert encoding.sound(specs)
    assert encoding.outside(ROWS[0] | change, specs) == expected


def test_models_without_ranges_are_read_as_before() -> None:
    known = {"least", "most", "percent", "whole"}
    old = [{k: v for k, v in spec.items() if k not in known} for spec in encoding.fitted(ROWS)]
    assert encoding.sound(old) and encoding.outside(ROWS[0] | {"size": "1"}, old) == {}
    half = [{k: v for k, v in spec.items() if k != "most"} for spec in encoding.fitted(ROWS)]
    assert not encoding.sound(half)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rows")
    lines = [",".join([*row.values(), str(3 * n)]) for n, row in enumerate(ROWS)]
    (folder / "rows.csv").write_text("\n".join(["share,size,day,town,price", *lines]))
    options: Any = {"scratch": False, "evidence": "none", "judge": "holdout"}
    strategy = "feature-extraction"
    hs.fit(folder / "rows.csv", out=folder / "model", label="price", strategy=strategy, **options)
    return folder / "model"


@pytest.mark.parametrize(
    "text",
    [
        "share;size;day;town\n0.3;120;2024-03-05;A\n0.2;130;2024-03-06;B\n",
        '{"share": 0.3, "size": 120, "day": "2024-03-05", "town": "A"}\n'
        '{"share": 0.2, "size": 130, "day": "2024-03-06", "town": "B"}\n',
    ],
)
def test_rows_come_by_a_pipe_and_are_told_apart(model: Path, text: str) -> None:
    ended = CliRunner().invoke(app, ["predict", str(model), "-", "--json"], input=text)
    assert ended.exit_code == 0, ended.output
    assert [row["path"] for row in json.loads(ended.stdout)["predictions"]] == ["row 0", "row 1"]
    assert "`share` in 2 of 2 rows (it held 0 to 39 with %)" in ended.stderr
    assert "`size`" not in ended.stderr
    usual = text.replace("0.3", '"30 %"').replace("0.2", '"20 %"')
    ended = CliRunner().invoke(app, ["predict", str(model), "-", "--json"], input=usual)
    assert ended.exit_code == 0 and "Outside" not in ended.stderr


def test_a_group_may_be_a_column_that_the_model_reads(model: Path, tmp_path: Path) -> None:
    grouped = hs.evaluate(model, model.parent / "rows.csv", group="town")
    assert grouped.data["items"] == 60
    (tmp_path / "empty").mkdir()
    ended = CliRunner().invoke(app, ["suggest", str(model), str(tmp_path / "empty")])
    assert "Give a table itself" in ended.stderr and Table.suffixes == {".row"}
