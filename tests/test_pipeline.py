"""The flow from data to a saved model: arms, choice, repeatability, budget, own sources."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import SCRATCH_RATES, Fitted, write_pictures
from tiny import Recording, feed, model, untimed

import headstart as hs
from headstart import defaults
from headstart.contracts import Batch
from headstart.loading.weights import read
from headstart.pipeline.prepare import RunContext
from headstart.pipeline.selection.choosing import prepare
from headstart.results import Result
from headstart.runtime.progress import Silent
from headstart.runtime.workspace import Workspace

TINY = "seeded:convnet"


def fit(data: Path, out: Path, strategy: str = "full-fine-tuning", **settings: Any) -> Result:
    """A short run without the scratch arm, unless it is asked for."""
    options = {"epochs": 2, "scratch": False} | settings
    return hs.fit(data, TINY, out, strategy=strategy, settings=hs.Settings(**options))


def saved(folder: Path) -> dict[str, Any]:
    """The evidence as the artifact keeps it."""
    content: dict[str, Any] = json.loads((folder / "evidence.json").read_text())
    return content


def test_the_evidence_holds_what_was_promised(fitted: Fitted) -> None:
    record = saved(fitted.folder)
    promised = {"metric", "arms", "gain", "verdict", "strategy", "backbone", "data"}
    assert promised <= record.keys()
    assert record["metric"] == "accuracy"
    assert record["arms"].keys() == {"naive", "scratch", "features", "chosen", "colour-and-edges"}
    for arm in record["arms"].values():
        assert arm.keys() >= {"value", "low", "high", "seconds"}
        assert 0 <= arm["low"] <= arm["value"] <= arm["high"] <= 1
    assert record["gain"].keys() == {"value", "low", "high", "trainings", "assumed"}
    assert record["gain"]["value"] == pytest.approx(
        record["arms"]["chosen"]["value"] - record["arms"]["scratch"]["value"]
    )
    assert record["verdict"] in {"helps", "no evidence", "hurts", "unknown"}
    assert (record["doubt"] == "") == (record["verdict"] != "unknown")
    assert record["backbone"] == TINY
    assert record["data"]["items"] == 80
    assert {"skipped", "duplicates", "fingerprint"} <= record["data"].keys()
    assert all(record["checks"].values())
    assert "equal in a fresh process" in record["checks"]


def test_the_result_and_the_file_say_the_same(fitted: Fitted) -> None:
    record = fitted.result.to_json()
    assert record.pop("out") == str(fitted.folder)
    assert saved(fitted.folder) == json.loads(json.dumps(record))
    assert fitted.result.verdict == record["verdict"]


def test_scratch_gets_twice_the_steps_and_rates_of_its_own(fitted: Fitted) -> None:
    record = saved(fitted.folder)
    chosen = record.get("dropped", record["arms"]["chosen"])
    assert record["arms"]["scratch"]["steps"] == 2 * chosen["steps"] > 0
    assert "rates 0.0003, 0.001, 0.003 tried" in record["protocol"]


def test_one_seed_gives_one_result(
    fitted: Fitted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(defaults, "SCRATCH_RATES", SCRATCH_RATES)
    again = fit(fitted.pictures, tmp_path / "again", scratch=True)
    weights = [(folder / "model.safetensors") for folder in (fitted.folder, again.folder)]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    assert untimed(saved(again.folder)) == untimed(saved(fitted.folder))


def test_a_strategy_that_ruins_the_network_is_dropped_and_said(tmp_path: Path) -> None:
    # a ruined network may by luck tell two colours apart, hardly three
    data = write_pictures(tmp_path / "photos", {"ants": 30, "bees": 30, "wasps": 30})
    result = fit(data, tmp_path / "ruined", learning_rate=2e3)
    dropped = result.evidence.dropped
    assert dropped is not None
    assert dropped.strategy == "full-fine-tuning"
    assert result.evidence.strategy == "feature-extraction"
    assert dropped.note.endswith("which is handed over.")
    assert dropped.note in str(result)
    assert saved(result.folder)["dropped"]["note"] == dropped.note
    assert json.loads((result.folder / "headstart.json").read_text())["strategy"] == (
        "feature-extraction"
    )
    chosen, features = result.evidence.arms["chosen"], result.evidence.arms["features"]
    assert chosen.selection_key == features.selection_key
    assert chosen.selection_key[0] >= dropped.selection_key[0]
    # no network was trained from scratch, so nobody can know the gain
    assert "scratch" not in result.evidence.arms
    assert saved(result.folder)["gain"] is None
    assert result.verdict == saved(result.folder)["verdict"] == "unknown"
    assert "The gain over scratch is unknown" in str(result)


def test_a_budget_is_kept(pictures: Path, tmp_path: Path) -> None:
    started = time.monotonic()
    fit(pictures, tmp_path / "whole", "feature-extraction", evidence="none")
    unit = time.monotonic() - started  # reading, saving and checking, which no budget can shorten
    budget = 3 * unit
    started = time.monotonic()
    result = fit(pictures, tmp_path / "cut", scratch=True, epochs=100_000, budget=budget)
    assert time.monotonic() - started < budget + unit
    record = saved(result.folder)
    assert "ended by the budget, so the gain is an upper bound" in record["protocol"]
    value = record.get("dropped", record["arms"]["chosen"])
    assert "ended by the budget" in value["note"]
    assert 0 < value["steps"] < 100_000
    assert record["arms"]["scratch"]["steps"] > 0


def test_a_source_of_ones_own_is_transferred_from(pictures: Path, tmp_path: Path) -> None:
    many = write_pictures(tmp_path / "many", {"bees": 60, "cats": 60, "dogs": 60}, seed=1)
    settings = hs.Settings(epochs=4)
    source = hs.pretrain(many, TINY, tmp_path / "source", settings=settings)
    assert source.evidence.arms.keys() == {"naive", "chosen"}
    assert source.evidence.over_naive().low > 0
    assert source.verdict == "unknown"
    assert source.evidence.strategy == "scratch"

    result = hs.fit(
        pictures,
        f"checkpoint:{source.folder}",
        tmp_path / "model",
        strategy="feature-extraction",
        settings=hs.Settings(scratch=False),
    )
    before, after = (
        read(instance.folder / "model.safetensors").state for instance in (source, result)
    )
    assert before.pop("head.weight").shape[0] == 3
    assert after.pop("head.weight").shape[0] == 2
    del before["head.bias"], after["head.bias"]
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert result.evidence.backbone == f"checkpoint:{source.folder}"
    predictor = hs.load(source.folder)
    assert predictor.labels == ("bees", "cats", "dogs")


def test_a_source_that_learned_nothing_is_refused(tmp_path: Path) -> None:
    mixed = tmp_path / "mixed"
    write_pictures(tmp_path / "same", {"all": 60})
    for number, path in enumerate(sorted((tmp_path / "same" / "all").iterdir())):
        folder = mixed / ("odd" if number % 2 else "even")
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder)
    settings, out = hs.Settings(epochs=1), tmp_path / "source"
    with pytest.raises(hs.HeadstartError, match=r"does not beat the naive model.*--anyway\.$"):
        hs.pretrain(mixed, TINY, out, settings=settings)
    assert not out.exists()
    progress = Recording()
    result = hs.pretrain(mixed, TINY, out, anyway=True, settings=settings, progress=progress)
    assert result.evidence.over_naive().low <= 0
    assert any("does not beat the naive model" in text for text in progress.warned)
    assert (out / "headstart.json").exists()


def test_an_evaluation_names_what_the_model_has_seen(fitted: Fitted, tmp_path: Path) -> None:
    splits = saved(fitted.folder)["data"]["splits"]
    used = sum(sum(splits[name].values()) for name in ("train", "validation"))
    values = hs.evaluate(fitted.folder, fitted.pictures)
    assert values.overlap == used < 80 == values.data["items"]
    assert f"{used} of them were used in training" in str(values)
    assert {row["items"] for row in values.by_label.values()} == {40}
    mean = sum(row["value"] for row in values.by_label.values()) / 2
    assert values.score.value == pytest.approx(mean, abs=1e-4)

    fresh = write_pictures(tmp_path / "fresh", {"ants": 7, "bees": 3}, seed=9)
    values = hs.evaluate(fitted.folder, fresh)
    assert (values.overlap, values.data["items"]) == (0, 10)
    assert "Warning" not in str(values)


def test_rare_classes_count_as_much_as_frequent_ones(tmp_path: Path) -> None:
    data = write_pictures(tmp_path / "data", {"ants": 6, "bees": 40, "cats": 40})
    network = model()
    torch.nn.init.constant_(network.get_parameter("head.bias")[1], 3.0)  # it says bee to all
    losses = {}
    for choice in ("auto", "none"):
        settings = hs.Settings(class_weights=choice)
        with Workspace(tmp_path / choice) as workspace:
            context = RunContext.of(settings, Silent(), workspace.folder)
            target = prepare(data, TINY, None, context).experiment
        assert target.labels == ("ants", "bees", "cats")
        inputs = feed(12)
        batch = Batch(inputs.inputs, torch.from_numpy(inputs.targets))
        with torch.no_grad():
            losses[choice] = float(target.task.step(network.eval(), batch).loss)
    assert losses["auto"] > losses["none"] + 0.1


def test_predictions_from_python(fitted: Fitted) -> None:
    predictions = hs.load(fitted.folder).predict(
        [fitted.pictures / "bees", fitted.pictures / "ants"]
    )
    assert len(predictions) == 80
    assert predictions[0].path == str(fitted.pictures / "bees" / "000.png")
    for prediction in predictions:
        assert set(prediction.probabilities) == {"ants", "bees"}
        assert sum(prediction.probabilities.values()) == pytest.approx(1, abs=1e-5)
        assert prediction.probability == max(prediction.probabilities.values())
    right = sum(Path(p.path).parent.name == p.label for p in predictions) / len(predictions)
    assert right > 0.9


def test_a_folder_may_be_called_anything(fitted: Fitted, tmp_path: Path) -> None:
    folder = tmp_path / "a@b?size=32&c:d"
    shutil.copytree(fitted.folder, folder)
    picture = fitted.pictures / "ants" / "000.png"
    assert hs.load(folder).predict([picture]) == hs.load(fitted.folder).predict([picture])
