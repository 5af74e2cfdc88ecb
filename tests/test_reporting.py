"""A saved model on other labelled data: what the record and its page hold."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import Fitted, write_pictures
from typer.testing import CliRunner

import headstart as hs
from headstart.cli import app
from headstart.data import Schema


@pytest.fixture
def others(tmp_path: Path) -> Path:
    """Pictures that the model has not seen, listed with the garden each was taken in."""
    write_pictures(tmp_path / "others", {"ants": 15, "bees": 12}, seed=77)
    rows = ["image,label,garden"]
    for number, path in enumerate(sorted((tmp_path / "others").rglob("*.png"))):
        name = path.relative_to(tmp_path / "others")
        rows.append(f"{name},{path.parent.name},{('east', 'west')[number % 2]}")
    (tmp_path / "others" / "all.csv").write_text("\n".join(rows))
    return tmp_path / "others"


def test_other_data_get_a_page_of_their_own(fitted: Fitted, others: Path, tmp_path: Path) -> None:
    model, before = fitted.folder, sorted(path.name for path in fitted.folder.iterdir())
    manifest = others / "all.csv"
    result = hs.report_on(model, manifest, tmp_path / "page", schema=Schema(group="garden"))
    record = result.to_json()
    assert record["verdict"] == "evaluated" and record["held_out"] == 27
    score = hs.evaluate(model, manifest, label="label", group="garden").to_json()["score"]
    assert {name: record["arms"]["chosen"][name] for name in score} == score
    assert sum(row["items"] for row in record["classes"]["rows"]) == 27
    assert {row["group"] for row in record["groups"]} == {"east", "west"}
    assert len(record["items"]["map"]["id"]) == 27
    assert record["calibration"]["bins"] and "temperature" not in record["calibration"]
    assert "items" in record and not record["warnings"]
    page = (tmp_path / "page" / "report.html").read_text(encoding="utf-8")
    assert "data:image/jpeg;base64" in page and "Evaluated on other data" in page
    assert "plan.json" not in page
    content = json.loads((tmp_path / "page" / "evidence.json").read_text())
    assert json.loads(json.dumps(content)) | {"report": record["report"]} == json.loads(
        json.dumps(record)
    )
    assert f"on 27 items of {manifest}" in str(result)
    assert "held-out" not in str(result).splitlines()[0]
    assert sorted(path.name for path in model.iterdir()) == before


def test_items_of_the_training_are_told(fitted: Fitted, tmp_path: Path) -> None:
    record = hs.report_on(fitted.folder, fitted.pictures, tmp_path / "page").to_json()
    assert any("were used in training; the score flatters" in text for text in record["warnings"])


def test_the_command_writes_beside_where_it_is_called(
    fitted: Fitted, others: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = [
        "report",
        str(fitted.folder),
        str(others / "all.csv"),
        "--group",
        "garden",
        "--json",
    ]
    ended = CliRunner().invoke(app, arguments)
    assert ended.exit_code == 0, ended.output
    assert Path(json.loads(ended.stdout)["report"]) == Path("report-all/report.html")
    assert (tmp_path / "report-all" / "report.html").exists()
    wrong = CliRunner().invoke(app, [*arguments[:2], str(tmp_path / "absent")])
    assert wrong.exit_code == 2 and "absent does not exist" in wrong.output
