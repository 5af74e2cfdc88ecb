"""The whole path on texts, with a tiny encoder: classes, numbers and label sets, saved and read."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny

import headstart as hs
from headstart import catalog
from headstart.data import Schema, load
from headstart.defaults import Settings
from headstart.evidence import Experiment, baseline_arm
from headstart.features.reading import Reader
from headstart.runtime import machine
from headstart.runtime.budget import Budget

ENCODER = "seeded:text-encoder?seed=1"
GOOD, BAD = ("fine", "lovely", "great"), ("dull", "awful", "poor")
FILLER = ("the", "film", "was", "and", "plot", "it")


def sentences(count: int) -> list[tuple[str, int]]:
    """Texts of several lengths, each with how many of its words praise."""
    rng = random.Random(3)
    rows = []
    for _ in range(count):
        praise = rng.randint(0, 3)
        words = [rng.choice(GOOD) for _ in range(praise)]
        words += [rng.choice(BAD) for _ in range(3 - praise)]
        words += [rng.choice(FILLER) for _ in range(rng.randint(1, 4))]
        rng.shuffle(words)
        rows.append((" ".join(words), praise))
    return rows


def write(path: Path, rows: list[tuple[Any, ...]], names: tuple[str, ...]) -> Path:
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([names, *rows])
    return path


@pytest.fixture(scope="module")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [(text, "good" if praise > 1 else "bad") for text, praise in sentences(160)]
    return write(tmp_path_factory.mktemp("data") / "reviews.csv", rows, ("review", "verdict"))


def settings(**more: Any) -> Settings:
    return Settings(**{"epochs": 2, "device": "cpu", "engine": "torch", **more})


@pytest.fixture(scope="module")
def fitted(reviews: Path, tmp_path_factory: pytest.TempPathFactory) -> hs.Result:
    out = tmp_path_factory.mktemp("made") / "model"
    return hs.fit(reviews, ENCODER, out, strategy="last-stages", settings=settings())


def test_the_evidence_holds_a_bag_of_words_beside_the_network(fitted: hs.Result) -> None:
    record = fitted.evidence.to_json()
    assert record["arms"].keys() == {"naive", "features", "scratch", "chosen", "tf-idf"}
    assert record["arms"]["tf-idf"]["value"] > record["arms"]["naive"]["value"]
    assert record["checks"] == {
        "frozen stages are bit-identical": True,
        "equal in a fresh process": True,
    }
    above = record["arms"]["tf-idf"]["validation"] > record["arms"]["chosen"]["validation"]
    assert any("tf-idf" in warning for warning in record["warnings"]) == above


def test_texts_and_files_of_text_are_answered(fitted: hs.Result, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a lovely film")
    model = hs.load(fitted.folder)
    inline, content, folder = model.predict(["a lovely film", tmp_path / "a.txt", tmp_path])
    assert inline.path == "a lovely film"
    assert content.path == folder.path == str(tmp_path / "a.txt")
    assert inline.probabilities == pytest.approx(content.probabilities)
    assert inline.probability == max(inline.probabilities.values())
    with pytest.raises(hs.HeadstartError, match=r"'  ' can't be used: .*white space"):
        model.predict(["  "])
    assert [each.path for each in model.predict(["absent.txt"])] == ["absent.txt"]
    with pytest.raises(hs.HeadstartError, match=r"absent\.txt can't be used: it does not exist"):
        model.predict([Path("absent.txt")])


def test_padding_and_company_change_no_answer(fitted: hs.Result) -> None:
    model = hs.load(fitted.folder)
    texts = [text for text, _ in sentences(40)]
    together = [prediction.probability for prediction in model.predict(texts)]
    alone = [model.predict([text])[0].probability for text in texts]
    assert together == pytest.approx(alone, abs=1e-5)


def test_a_saved_text_model_is_evaluated_and_transferred_from(
    fitted: hs.Result, reviews: Path, tmp_path: Path
) -> None:
    values = hs.evaluate(fitted.folder, reviews, text=["review"], label="verdict")
    assert values.overlap == sum(
        fitted.evidence.data["sizes"][split] for split in ("train", "validation")
    )
    result = hs.fit(
        reviews,
        f"checkpoint:{fitted.folder}",
        tmp_path / "again",
        strategy="feature-extraction",
        settings=settings(scratch=False),
    )
    assert result.evidence.backbone == f"checkpoint:{fitted.folder}"


def test_numbers_are_learned_and_answered_in_their_own_units(tmp_path: Path) -> None:
    rows = [(text, 1000.5 + 200 * praise) for text, praise in sentences(160)]
    data = write(tmp_path / "stars.csv", rows, ("text", "price"))
    result = hs.fit(
        data, ENCODER, tmp_path / "out", strategy="lp-ft", settings=settings(scratch=False)
    )
    record = result.evidence.to_json()
    assert record["metric"] == "r2"
    assert record["data"]["kind"] == "numbers"
    assert record["arms"]["chosen"]["value"] > record["arms"]["naive"]["value"]
    low, high = (
        prediction.to_json()["value"]
        for prediction in hs.load(result.folder).predict(
            ["dull awful poor film", "fine lovely great"]
        )
    )
    assert 800 < low < high < 1900


def test_sets_of_labels_are_learned_and_answered(tmp_path: Path) -> None:
    rng = random.Random(5)
    rows = []
    for text, praise in sentences(160):
        also = rng.random() < 0.5
        tags = (["good"] if praise > 1 else []) + (["long"] if also else [])
        rows.append({"text": text + (" and it was long" if also else ""), "tags": tags})
    data = tmp_path / "tags.jsonl"
    data.write_text("\n".join(map(json.dumps, rows)))
    result = hs.fit(
        data,
        ENCODER,
        tmp_path / "out",
        strategy="feature-extraction",
        settings=settings(scratch=False),
    )
    record = result.evidence.to_json()
    assert (record["metric"], record["data"]["kind"]) == ("f1", "label sets")
    answer = hs.load(result.folder).predict(["lovely and it was long"])[0].to_json()
    assert answer["probabilities"].keys() == {"good", "long"}


def test_views_of_texts_are_refused(reviews: Path, tmp_path: Path) -> None:
    with pytest.raises(hs.HeadstartError, match="views 2 can't be: text has no random views"):
        hs.fit(reviews, ENCODER, tmp_path / "out", settings=settings(views=2))


@pytest.mark.parametrize("kind", ["classes", "numbers", "label sets"])
def test_the_bag_of_words_sees_training_texts_only_and_what_they_tell(
    kind: str, tmp_path: Path
) -> None:
    labels: dict[str, Callable[[int], object]] = {
        "classes": lambda praise: "good" if praise > 1 else "bad",
        "numbers": lambda praise: praise + 0.5,
        "label sets": lambda praise: ";".join(["good"] * (praise > 1) + ["any"] * (praise > 0)),
    }
    rows = [(text, labels[kind](praise)) for text, praise in sentences(200)]
    modality = catalog.modality("text")
    schema = Schema(delimiter=";") if kind == "label sets" else Schema()
    dataset = load(write(tmp_path / "data.csv", rows, ("text", "label")), modality, schema)
    names = {"classes": "classification", "numbers": "regression", "label sets": "multi-label"}
    result = settings()
    inputs = catalog.targets(kind).task_settings(
        dataset.targets("train"), len(dataset.labels), False
    )
    target = Experiment(
        dataset,
        catalog.task(f"text-{names[kind]}", **inputs),
        Reader(modality, {}),
        result,
        machine.Compute.of(result, 0),
        Budget(None),
        tiny.Recording(),
    )
    arm = baseline_arm(target)
    assert arm is not None
    assert len(arm.scores) == len(dataset.split("test"))
    naive = target.task.naive(dataset.targets("train"), dataset.labels)
    plain = target.task.scores(np.tile(naive, (len(arm.scores), 1)), dataset.targets("test"))
    assert arm.scores.mean() > plain.mean() + 0.1
