"""A translation memory beside a translator, and answers side by side with the right ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from translators import pairs, table

import headstart as hs
from headstart.contracts.sequences import decoded, encoded
from headstart.errors import HeadstartError
from headstart.evidence.lookup import neighbours
from headstart.evidence.memory import _threshold, mixed
from headstart.metrics.translation import ChrF
from headstart.pipeline.pivoting import translate

ROWS = pairs(60)
TINY = "seeded:translator?width=16&layers=1&heads=2"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return table(tmp_path_factory.mktemp("pairs") / "pairs.csv", ROWS)


@pytest.fixture(scope="module")
def model(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("model") / "en-ru"
    chosen: Any = {"epochs": 1, "scratch": False, "evidence": "full", "device": "cpu"}
    chosen |= {"source": "en", "target": "ru", "strategy": "full-fine-tuning"}
    hs.fit(data, TINY, place, **chosen)
    return place


def test_likeness_is_one_for_equal_texts_and_nothing_without_a_run_in_common() -> None:
    places, likeness = neighbours(["a cat sees", "xyz", "dogs"], ["dogs", "qqq"])
    assert places[0, 0] == 2
    assert likeness[:, 0] == pytest.approx([1.0, 0.0], abs=1e-6)


def test_the_threshold_is_where_the_memory_begins_to_be_better() -> None:
    right = encoded(["alpha beta", "gamma delta", "epsilon", "zeta eta"])
    recollection = encoded(["alpha beta", "gamma delta", "wrong", "other"])
    ours = encoded(["qqqq", "wwww", "epsilon", "zeta eta"])
    likeness = np.array([0.92, 0.71, 0.6, 0.1])
    threshold = _threshold(ChrF(), ours, (recollection, likeness), right)
    assert threshold == 0.7
    assert decoded(mixed(ours, recollection, likeness >= threshold)) == decoded(right)
    assert _threshold(ChrF(), right, (recollection, likeness), right) is None


def test_the_evidence_says_what_a_memory_adds(model: Path) -> None:
    """These answers hardly say a word after one epoch, and sentences are like each other."""
    evidence = json.loads((model / "evidence.json").read_text(encoding="utf-8"))
    own = evidence["memory"]
    assert own["over_model"]["value"] == pytest.approx(
        own["value"] - evidence["arms"]["chosen"]["value"], abs=2e-5
    )
    assert 0 < own["matches"] <= own["items"] == 8
    assert "With a memory of its training pairs" in str(hs.reported(model))


def test_the_curve_says_that_fewer_pairs_know_the_vocabulary_of_all(model: Path) -> None:
    evidence = json.loads((model / "evidence.json").read_text(encoding="utf-8"))
    assert evidence["labels"]["unit"] == "pairs"
    assert "fewer pairs begins with a vocabulary that has seen all" in evidence["labels"]["said"]


def test_texts_in_memory_are_looked_up(model: Path, data: Path) -> None:
    source, target = ROWS[0]
    unlike = "dog dog dog dog dog dog"
    plain = translate(model, [unlike]).rows[0]
    rows = translate(model, [source, unlike, " "], memory=data, likeness=0.99).rows
    assert rows[0].text == target
    assert rows[0].like == source
    assert (rows[1].text, rows[1].like) == (plain.text, "")
    assert rows[1].score == pytest.approx(plain.score, rel=1e-4)
    assert rows[2].text == ""
    measured = json.loads((model / "evidence.json").read_text(encoding="utf-8"))["memory"]
    assert measured["threshold"] <= 1
    assert translate(model, [source], memory=data).rows[0].text == target
    with pytest.raises(HeadstartError, match="likeness 2 can't be"):
        translate(model, [source], memory=data, likeness=2)


def test_a_memory_of_other_columns_is_refused(model: Path, tmp_path: Path) -> None:
    other = table(tmp_path / "other.csv", ROWS, "uk")
    with pytest.raises(HeadstartError, match="no column 'ru'"):
        translate(model, ["the cat"], memory=other)
    with pytest.raises(HeadstartError, match=r"none\.csv"):
        translate(model, ["the cat"], memory=tmp_path / "none.csv")


def test_evaluating_shows_answers_beside_the_right_ones(model: Path, data: Path) -> None:
    values = hs.evaluate(model, data)
    record = values.to_json()["sentences"]
    assert record["items"] == 8
    assert {row["target"] for row in record["worst"]} <= {target for _, target in ROWS}
    text = str(values)
    assert "The worst answers:" in text
    assert f"reference  {record['worst'][0]['target']}" in text
