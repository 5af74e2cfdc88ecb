"""A saved model knows the columns it was fitted with; what is named counts first."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import headstart as hs
from headstart.artifact import read
from headstart.cli import app
from headstart.data import Columns, Schema
from headstart.errors import HeadstartError
from headstart.pipeline.opening import fitted_schema

ENCODER = "seeded:text-encoder?seed=1"
WORDS = {"low": "poor dull broken", "high": "fine lovely great", "NA": "unsure odd maybe"}


def reviews(path: Path, count: int, first: int = 0, names: str = "review,body,stars,city") -> Path:
    """Texts in two columns, one of them misleading, with one of three classes."""
    lines = [names.replace(",", ";")]
    for n in range(first, first + count):
        stars = list(WORDS)[n % 3]
        lines.append(f"{WORDS[stars]} {n};nothing {n};{stars};{'EW'[n % 2]}")
    path.write_text("\n".join(lines))
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("columns")
    data = reviews(folder / "reviews.csv", 60)
    settings = hs.Settings(
        text=("review",), label="stars", group="city", missing="", scratch=False, evidence="none"
    )
    hs.fit(data, ENCODER, folder / "model", strategy="feature-extraction", settings=settings)
    return folder / "model"


def test_the_record_holds_the_columns(model: Path) -> None:
    record = read(model)
    assert record.data["columns"] == {"content": ["review"], "label": ["stars"]}
    assert record.labels == ("NA", "high", "low")
    schema = fitted_schema(model)
    assert schema.before == Columns(("review",), ("stars",), group="city")
    assert (schema.kind, schema.missing) == ("classes", "")
    assert fitted_schema(model, Schema(label="city", missing="NA")).label == "city"


def test_other_data_of_these_columns_need_none_named(model: Path, tmp_path: Path) -> None:
    path = reviews(tmp_path / "reviews2.csv", 30, 100)
    values = hs.evaluate(model, path)
    value = hs.evaluate(model, path, text=["review"], label="stars")
    assert values.score == value.score and values.by_label == value.by_label
    assert values.data["items"] == 30
    other = hs.evaluate(model, path, text=["body"]).to_json()
    assert other["score"] != values.to_json()["score"]
    record = hs.report_on(model, path, tmp_path / "page").to_json()
    assert record["arms"]["chosen"]["value"] == values.to_json()["score"]["value"]
    assert {row["group"] for row in record["groups"]} == {"E", "W"}
    both = hs.compare(model, model, path).to_json()
    assert both["difference"]["value"] == 0


def test_an_interval_takes_the_groups_of_training_as_drawn_together(
    model: Path, tmp_path: Path
) -> None:
    path = tmp_path / "more.csv"
    lines = [f"{WORDS['low']} {n};x;{'low' if n % 2 else 'high'};{'EW'[n % 2]}" for n in range(60)]
    path.write_text("\n".join(["review;body;stars;city", *lines]))  # right in one city alone
    grouped, alone = hs.evaluate(model, path).score, hs.evaluate(model, path, group="body")
    assert grouped.value == alone.score.value == 0.5
    assert [grouped.low, grouped.high] == pytest.approx([0, 1], abs=0.01)
    assert "No interval: one group. All 60 held-out items are of one, 'x'" in str(alone)
    page = hs.report_on(model, path, tmp_path / "page").to_json()
    assert page["arms"]["chosen"].items() >= grouped.to_json().items()
    path.write_text(path.read_text().replace("city", "town"))
    assert hs.evaluate(model, path).score.width < 0.3
    assert hs.evaluate(model, path, group="town").score == grouped
    two = hs.compare(model, model, path, group="town")
    assert two.first.score == two.second.score == grouped


def test_what_is_named_must_be_there(model: Path, tmp_path: Path) -> None:
    path = reviews(tmp_path / "reviews2.csv", 30, 100)
    with pytest.raises(HeadstartError, match="no column 'mark'"):
        hs.evaluate(model, path, label="mark")


def test_data_of_other_columns_are_read_by_their_own(model: Path, tmp_path: Path) -> None:
    path = reviews(tmp_path / "a.csv", 30, 100, names="text,body,label,city")
    assert hs.evaluate(model, path).data["items"] == 30


def test_the_commands_know_them_too(model: Path, tmp_path: Path) -> None:
    path = reviews(tmp_path / "reviews2.csv", 30, 100)
    ended = CliRunner().invoke(app, ["evaluate", str(model), str(path), "--json"])
    assert ended.exit_code == 0, ended.output
    arguments = [
        "evaluate",
        str(model),
        str(path),
        "--label",
        "stars",
        "--text",
        "review",
        "--json",
    ]
    evaluated = CliRunner().invoke(app, arguments)
    assert json.loads(ended.stdout)["by_label"] == json.loads(evaluated.stdout)["by_label"]


def test_several_labels_are_named_one_by_one(tmp_path: Path) -> None:
    rows = [f"text {n},{n % 2},{n % 3 // 2},x" for n in range(60)]
    (tmp_path / "a.csv").write_text("\n".join(["text,red,round,other", *rows]))
    out = tmp_path / "model"
    arguments = ["fit", str(tmp_path / "a.csv"), "-b", ENCODER, "-o", str(out), "--no-scratch"]
    arguments += ["-s", "feature-extraction", "--evidence", "none", "--json"]
    ended = CliRunner().invoke(app, [*arguments, "--label", "red", "--label", "round"])
    assert ended.exit_code == 0, ended.output
    assert read(out).labels == ("red", "round")
    assert read(out).task == "text-multi-label"
    ended = CliRunner().invoke(app, ["evaluate", str(out), str(tmp_path / "a.csv"), "--json"])
    assert ended.exit_code == 0, ended.output
    assert json.loads(ended.stdout)["data"]["splits"]["test"] == {"red": 30, "round": 20}


def test_a_model_of_numbers_is_evaluated(tmp_path: Path) -> None:
    rows = [f"text {n},{n / 4},{n}" for n in range(60)]
    (tmp_path / "a.csv").write_text("\n".join(["text,low,high", *rows]))
    settings = hs.Settings(label="low,high", scratch=False, evidence="none")
    arguments = (tmp_path / "a.csv", ENCODER, tmp_path / "model")
    hs.fit(*arguments, strategy="feature-extraction", settings=settings)
    values = hs.evaluate(tmp_path / "model", tmp_path / "a.csv")
    assert (values.metric, values.by_label, values.data["items"]) == ("r2", {}, 60)
