"""What a run finds out besides its arms: every part filled, by level, and shown on a page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import write_pictures

import headstart as hs
from headstart.evidence import calibration
from headstart.pipeline import findings, label_curves
from headstart.pipeline.affordable import fewer
from headstart.pipeline.prepare import RunContext
from headstart.pipeline.selection import strategy_search
from headstart.pipeline.selection.choosing import prepare
from headstart.pipeline.strategy_spec import FEATURES
from headstart.report import headline
from headstart.results import Result
from headstart.runtime.budget import Budget
from headstart.runtime.progress import Silent
from headstart.training.record import Training

PARTS = {"convergence", "calibration", "classes", "items", "labels", "robustness"}
CHEAP = {"convergence", "calibration", "classes"}
TINY = "seeded:convnet"


def fitted(data: Path, out: Path, **chosen: Any) -> tuple[Result, dict[str, Any]]:
    options: dict[str, Any] = {"epochs": 3, "device": "cpu"} | chosen
    result = hs.fit(data, TINY, out, strategy="lp-ft", settings=hs.Settings(**options))
    return result, json.loads((result.folder / "evidence.json").read_text())


def test_one_fit_fills_every_part(pictures: Path, tmp_path: Path) -> None:
    result, record = fitted(pictures, tmp_path / "model")
    assert record.keys() >= PARTS
    labels = record["labels"]
    assert labels["counts"] == [row["items"] for row in labels["transfer"]]
    assert [row["items"] for row in labels["scratch"]] == sorted(
        {count for count in (labels["counts"][-1] // n for n in (4, 2, 1))}
    )
    assert labels["transfer"][-1]["value"] == record["arms"]["features"]["value"]
    assert labels["scratch"][-1]["value"] == record["arms"]["scratch"]["value"]
    assert labels["said"] and record["convergence"]["said"] and record["classes"]["said"]
    assert {row["corruption"] for row in record["robustness"]} > {"none", "blur"}
    assert all(row["scratch"] is not None for row in record["robustness"])
    lists = ("mistakes", "ambiguous", "suspects")  # which may be empty where all is clear
    ids = {row["id"] for key in lists for row in record["items"][key]}
    assert ids <= set(record["items"]["map"]["id"])
    assert len(record["items"]["map"]["id"]) == 80
    page = (result.folder / "report.html").read_text(encoding="utf-8")
    assert "data:image/jpeg;base64" in page
    assert json.loads(json.dumps(result.to_json())) == result.to_json()
    shown = hs.reported(result.folder)
    assert shown.to_json()["labels"] == record["labels"]
    assert headline(record) in str(shown) and "report.html" in str(shown)


def test_the_worst_of_the_named_groups_is_found(pictures: Path, tmp_path: Path) -> None:
    rows = ["image,label,hospital"]
    for number, path in enumerate(sorted(pictures.rglob("*.png"))):
        rows.append(
            f"{path.relative_to(pictures)},{path.parent.name},{'north south'.split()[number % 2]}"
        )
    (pictures / "all.csv").write_text("\n".join(rows))
    chosen: dict[str, Any] = {"evidence": "quick", "scratch": False}
    result, record = fitted(pictures / "all.csv", tmp_path / "model", group="hospital", **chosen)
    groups = record["groups"]
    assert {row["group"] for row in groups} == {"north", "south"}
    assert sum(row["items"] for row in groups) == record["held_out"]
    assert groups[0]["value"] <= groups[1]["value"]
    assert "The worst group comes first" in (result.folder / "report.html").read_text()
    with pytest.raises(hs.HeadstartError, match=r"no column 'ward'; its columns: .*'hospital'"):
        fitted(pictures / "all.csv", tmp_path / "other", group="ward", **chosen)
    with pytest.raises(hs.HeadstartError, match="groups in 'label', which is the content or the"):
        fitted(pictures / "all.csv", tmp_path / "other", group="label", **chosen)
    (pictures / "all.csv").unlink()
    with pytest.raises(hs.HeadstartError, match="folder of classes and has no column 'hospital'"):
        fitted(pictures, tmp_path / "other", group="hospital", **chosen)


@pytest.mark.parametrize(("level", "parts"), [("none", set()), ("quick", CHEAP)])
def test_less_is_measured_where_less_is_asked_for(
    level: str, parts: set[str], pictures: Path, tmp_path: Path
) -> None:
    result, record = fitted(pictures, tmp_path / "model", evidence=level, scratch=False)
    assert record.keys() & PARTS == parts
    assert (result.folder / "report.html").exists() == (level != "none")


def test_a_level_must_be_known(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(hs.HeadstartError, match="evidence 'all' is not known"):
        fitted(pictures, tmp_path / "model", evidence="all")


def turned(outputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Outputs that answer the other of two classes."""
    return {name: own[:, ::-1] for name, own in outputs.items()}


def test_labels_are_not_said_to_be_saved_where_that_was_not_measured(
    pictures: Path, tmp_path: Path
) -> None:
    settings = hs.Settings(epochs=2, device="cpu")
    context = RunContext.of(settings, Silent(), tmp_path)
    search = strategy_search.run(prepare(pictures, TINY, "lp-ft", context))
    features = search.arms[FEATURES]
    wrong = replace(features.arm, outputs=turned(features.arm.outputs))
    arms = {FEATURES: replace(features, arm=wrong), "scratch": replace(features, recipe=None)}
    proof = findings.Proof(search, arms | {"lp-ft": features}, "lp-ft")
    assert label_curves.beats_features(proof)
    assert proof._scratch() is not None
    assert findings.Proof(search, arms, "scratch")._scratch() is None  # not beside itself
    level = findings.Proof(search, {**arms, FEATURES: features}, FEATURES)
    assert not label_curves.beats_features(level)


@pytest.mark.parametrize("right", [0.0, 1.0])
@pytest.mark.parametrize("cut", [False, True])
def test_a_scratch_arm_that_learned_nothing_is_no_yardstick(
    right: float, cut: bool, pictures: Path, tmp_path: Path
) -> None:
    settings = hs.Settings(epochs=2, device="cpu")
    context = RunContext.of(settings, Silent(), tmp_path)
    search = strategy_search.run(prepare(pictures, TINY, FEATURES, context))
    features = search.arms[FEATURES]
    wrong = replace(features.arm, outputs=turned(features.arm.outputs))
    arms = {
        "naive": replace(features, arm=wrong),
        "scratch": replace(
            features, arm=features.arm if right else wrong, training=Training(cut=cut)
        ),
    }
    alone = {FEATURES: features, "naive": arms["naive"]}
    assert label_curves.unlearned(findings.Proof(search, alone | arms, FEATURES)) == (right == 0.0)
    assert not label_curves.unlearned(findings.Proof(search, alone, FEATURES))


def test_the_saved_model_answers_calibrated(pictures: Path, tmp_path: Path) -> None:
    result, record = fitted(pictures, tmp_path / "model", scratch=False, evidence="quick")
    scale = record["calibration"]["temperature"]
    assert record["calibration"]["kept"]
    dataset = prepare(
        pictures, TINY, None, RunContext.of(hs.Settings(), Silent())
    ).experiment.dataset
    test = dataset.split("test")
    answers = hs.load(result.folder).predict([str(pictures / item.id) for item in test])
    plain = calibration.shares(result.evidence.arms["chosen"].outputs["test"] / scale)
    for answer, expected in zip(answers, plain, strict=True):
        probabilities = list(answer.answer["probabilities"].values())
        assert probabilities == pytest.approx(expected.tolist(), abs=1e-4)


def test_fewer_labels_leave_what_is_held_out_alone(pictures: Path, tmp_path: Path) -> None:
    target = prepare(pictures, TINY, None, RunContext.of(hs.Settings(), Silent())).experiment
    part = fewer(target, np.array([0, 3, 5]))
    train = target.dataset.split("train")
    assert part.dataset.split("train") == tuple(train[place] for place in (0, 3, 5))
    for name in ("validation", "test"):
        assert part.dataset.split(name) == target.dataset.split(name)


def test_without_time_the_dear_parts_are_left_out(pictures: Path, tmp_path: Path) -> None:
    settings = hs.Settings(epochs=2, device="cpu", scratch=False)
    transfer = prepare(pictures, TINY, "lp-ft", RunContext.of(settings, Silent(), tmp_path))
    search = strategy_search.run(transfer)
    hurried = replace(search, experiment=replace(transfer.experiment, budget=Budget(0.0)))
    proof = findings.Proof(hurried, {"naive": search.arms[FEATURES]} | search.arms, "lp-ft")
    result = proof.findings()
    assert "robustness" not in result
    assert result["labels"]["scratch"] == []


def test_the_gain_is_taken_over_seeds(pictures: Path, tmp_path: Path) -> None:
    result, record = fitted(pictures, tmp_path / "model", seeds=3, evidence="none")
    rows = record["by_seed"]
    assert len(rows["chosen"]) == len(rows["scratch"]) == 3
    assert rows["chosen"][0] == pytest.approx(record["arms"]["chosen"]["value"], abs=1e-4)
    gain = np.mean(rows["chosen"]) - np.mean(rows["scratch"])
    assert record["gain"]["value"] == pytest.approx(gain, abs=1e-4)
    assert record["gain"]["low"] <= gain <= record["gain"]["high"]
    assert "The gain is that of 3 trainings each" in str(result)


def test_a_source_that_learned_nothing_is_never_said_to_help(tmp_path: Path) -> None:
    names = {"ants": 40, "bees": 40}
    pictures = write_pictures(tmp_path / "pictures", names)
    shuffled = tmp_path / "shuffled"
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        for place in sorted(pictures.rglob("*.png")):
            label = rng.choice(["one", "other"])
            copy = shuffled / split / label / f"{place.parent.name}-{place.name}"
            copy.parent.mkdir(parents=True, exist_ok=True)
            if rng.random() < 0.5:
                copy.write_bytes(place.read_bytes())
    settings = hs.Settings(epochs=4, device="cpu", evidence="none")
    hs.pretrain(shuffled, TINY, tmp_path / "source", anyway=True, settings=settings)
    source = f"checkpoint:{tmp_path / 'source'}"
    result = hs.fit(pictures, source, tmp_path / "model", strategy="lp-ft", settings=settings)
    assert result.verdict != "helps"
