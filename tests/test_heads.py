"""Heads other than the probe: part of a run, of its evidence, and of what it saves."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from conftest import Fitted
from torch import nn

import headstart as hs
from headstart import artifact, catalog
from headstart.contracts.head import Shape, TrainingSet
from headstart.contracts.model import Model
from headstart.defaults import Settings
from headstart.errors import HeadstartError, UnknownNameError, WeightsError
from headstart.evidence.fitting import answers
from headstart.features.engine import fastest
from headstart.heads.boosting import TreeEnsemble
from headstart.loading import record, weights
from headstart.pipeline.strategy_spec import StrategySpec
from headstart.runtime.progress import Silent

NAMES = sorted(catalog.HEADS)
QUICK = Settings(scratch=False, evidence="quick", device="cpu")


def rows(count: int = 80, width: int = 6, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features and classes that no linear head tells apart."""
    rng = np.random.default_rng(seed)
    features = rng.normal(0, 1, (count, width)).astype(np.float32)
    return features, ((features[:, 0] * features[:, 1]) > 0).astype(np.int64)


def training(features: np.ndarray, targets: np.ndarray, kind: str, labels: int) -> TrainingSet:
    shape = Shape(catalog.targets(kind).encoding, features.shape[1], labels)
    return TrainingSet(features, targets, np.ones(len(features)), shape)


def test_trees_answer_as_the_library_that_grew_them() -> None:
    from sklearn.ensemble import HistGradientBoostingClassifier

    features, targets = rows(300)
    features = features.round(1)  # so that many lie on a threshold
    head = list(
        catalog.head("gradient-boosting").candidates(training(features, targets, "classes", 2))
    )
    theirs = HistGradientBoostingClassifier(
        max_iter=100,
        max_leaf_nodes=15,
        max_features=0.3,
        min_samples_leaf=15,
        early_stopping=False,
        random_state=0,
    ).fit(features, targets)
    others = rows(500, seed=1)[0].round(1)
    outputs = answers(head[-1], others)
    np.testing.assert_allclose(
        outputs[:, 1] - outputs[:, 0], theirs.decision_function(others), atol=1e-4
    )


def test_trees_of_xgboost_answer_as_it_does() -> None:
    xgboost = pytest.importorskip("xgboost")
    from headstart.heads.boosting import xgboost as ours

    features, targets = rows(300)
    features = features.round(1)
    many = targets + (features[:, 2] > 0.5)
    for truth, labels in ((targets, 2), (many, 3)):
        head = list(ours.XGBoost().candidates(training(features, truth, "classes", labels)))[-1]
        settings = {
            "objective": "binary:logistic" if labels == 2 else "multi:softprob",
            "base_score": 0.5 if labels == 2 else 0.0,
            "max_depth": 5,
            "eta": 0.1,
            "colsample_bynode": 0.3,
            "subsample": 0.8,
            "seed": 0,
        } | ({"num_class": 3} if labels == 3 else {})
        booster = xgboost.train(settings, xgboost.DMatrix(features, truth), 100)
        others = rows(500, seed=1)[0].round(1)
        theirs = booster.predict(xgboost.DMatrix(others), output_margin=True)
        outputs = answers(head, others)
        result = outputs[:, 1] - outputs[:, 0] if labels == 2 else outputs
        np.testing.assert_allclose(result, theirs, atol=1e-4)


@pytest.mark.parametrize("name", ["gradient-boosting", "knn"])
def test_an_engine_for_the_cpu_runs_them_for_any_batch(name: str, own_cache: Path) -> None:
    features, targets = rows(60)
    head = list(catalog.head(name).candidates(training(features, targets, "classes", 2)))[-1]
    sample, cpu = torch.from_numpy(features[:16]), torch.device("cpu")
    engine = fastest(
        head, sample, cpu, engine="openvino", precision="fp32", key=None, progress=Silent()
    )
    for count in (1, 16, 60):
        inputs = torch.from_numpy(features[:count])
        np.testing.assert_allclose(engine.run(inputs), head(inputs).numpy(), rtol=1e-3, atol=1e-4)


def test_what_is_not_linear_needs_a_head_that_is_not() -> None:
    features, targets = rows(200)
    training_set, (others, truth) = training(features, targets, "classes", 2), rows(200, seed=1)
    right = {}
    for name in ("ridge", "knn", "gradient-boosting"):
        items = list(catalog.head(name).candidates(training_set))
        right[name] = max((answers(each, others).argmax(1) == truth).mean() for each in items)
    assert right["ridge"] < 0.65 < min(right["knn"], right["gradient-boosting"])


def test_a_run_with_another_head_says_what_it_was_worth(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "model"
    result = hs.fit(pictures, "seeded:convnet", out, settings=replace(QUICK, head="knn"))
    arms = result.evidence.arms
    assert arms["chosen"].strategy == "feature-extraction?head=knn"
    assert arms["features"].strategy == "feature-extraction"
    assert result.evidence.checks["equal in a fresh process"]
    assert result.evidence.findings["calibration"]["kept"] is False
    entries = record.read(out)
    assert entries["head"]["name"] == "knn"
    assert entries["strategy"] == "feature-extraction?head=knn"
    state = weights.read(out / "model.safetensors").state
    assert (
        state.keys()
        == Model.of(tiny.backbone("seeded:convnet"), nn.Identity()).backbone_state().keys()
    )
    assert hs.evaluate(out, pictures).score.value > 0.9
    assert hs.load(out).predict([pictures / "ants"])[0].probability
    assert json.loads((out / "plan.json").read_text())["strategy"] == "feature-extraction?head=knn"
    further = catalog.load_backbone(f"checkpoint:{out}")
    assert further.head is None


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMES if catalog.head(name).stands_alone()])
@pytest.mark.parametrize("kind", ["classes", "numbers", "label-sets"])
def test_every_head_goes_the_whole_way(
    name: str, kind: str, pictures: Path, tmp_path: Path
) -> None:
    if name == "xgboost":
        pytest.importorskip("xgboost")
    lines = ["path,label"]
    for place, folder in enumerate(("ants", "bees")):
        values = {"classes": folder, "numbers": f"{place + 0.5}", "label-sets": ["x", "x;y"][place]}
        lines += [f"{folder}/{file.name},{values[kind]}" for file in (pictures / folder).iterdir()]
    (pictures / "list.csv").write_text("\n".join(lines))
    settings = replace(QUICK, head=name, delimiter=";" if kind == "label-sets" else None)
    out = tmp_path / "model"
    result = hs.fit(pictures / "list.csv", "seeded:convnet", out, settings=settings)
    arm = result.evidence.dropped or result.evidence.arms["chosen"]
    assert arm.strategy == f"feature-extraction?head={name}"
    assert arm.scores.mean() > result.evidence.arms["naive"].scores.mean()
    assert hs.reproduce(out, tmp_path / "again").evidence.strategy == result.evidence.strategy
    one, other = (
        weights.read(path / "model.safetensors").state for path in (out, tmp_path / "again")
    )
    assert weights.digest(one) == weights.digest(other)


@pytest.fixture
def saved(fitted: Fitted, tmp_path: Path) -> Path:
    """A saved model whose head is an ensemble of trees."""
    folder = Path(shutil.copytree(fitted.folder, tmp_path / "saved"))
    backbone = catalog.load_backbone(f"checkpoint:{fitted.folder}")
    features, targets = rows(60, backbone.feature_dim)
    training_set = training(features, targets, "classes", 2)
    head = next(iter(catalog.head("gradient-boosting").candidates(training_set)))
    boosted = replace(artifact.read(fitted.folder), head={"name": "gradient-boosting"})
    model = Model.of(backbone, head)
    artifact.save(folder, model, backbone, boosted, artifact.read_evidence(fitted.folder))
    return folder


def test_a_saved_head_opens_with_the_model(saved: Path, fitted: Fitted) -> None:
    model = hs.load(saved)
    assert isinstance(model.model.head, TreeEnsemble)
    here = model.predict([fitted.pictures / "ants"])
    command = [
        sys.executable,
        "-m",
        "headstart",
        "predict",
        str(saved),
        str(fitted.pictures / "ants"),
    ]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    there = json.loads(done.stdout)["predictions"]
    assert [each["label"] for each in there] == [each.label for each in here]
    assert [each["probability"] for each in there] == pytest.approx(
        [each.probability for each in here], abs=1e-5
    )


def test_a_head_that_was_changed_is_not_opened(saved: Path) -> None:
    state = weights.read(saved / artifact.HEAD).state
    weights.save({**state, "bias": state["bias"] + 1}, saved / artifact.HEAD, {})
    with pytest.raises(WeightsError, match=r"head\.safetensors has changed since it was saved"):
        hs.load(saved)
    (saved / artifact.HEAD).unlink()
    with pytest.raises(WeightsError, match=r"head\.safetensors is not a file"):
        hs.load(saved)


class Evil:
    """What runs when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("ran"),)  # type: ignore[return-value] # pickle takes any callable


def test_a_forged_head_runs_nothing(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file, entries = saved / artifact.HEAD, record.read(saved)
    whole = file.read_bytes()
    file.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(WeightsError, match="is not a whole safetensors file"):
        hs.load(saved)
    assert not Path("ran").exists()
    file.write_bytes(whole)
    state = weights.read(file).state
    state["branches"] = state["branches"] + 10**6  # whoever forges it knows the hash, too
    weights.save(state, file, {})
    entries["head"]["sha256"] = weights.digest(state)
    record.write(saved, entries)
    with pytest.raises(WeightsError, match="branches leads nowhere"):
        hs.load(saved)
    entries["head"]["name"] = "os:system"
    record.write(saved, entries)
    with pytest.raises(UnknownNameError, match="Head 'os:system' is not known"):
        hs.load(saved)
    entries["head"] = {"name": 3}
    record.write(saved, entries)
    with pytest.raises(HeadstartError, match="can't be read"):
        hs.load(saved)


def test_the_head_belongs_to_frozen_features() -> None:
    knn = Settings(head="knn")
    expected = "feature-extraction?head=knn"
    for strategy in (None, "feature-extraction", expected):
        assert str(StrategySpec.of(strategy, knn)) == expected
    assert str(StrategySpec.of("lp-ft", Settings())) == "lp-ft"
    for strategy in (
        "lp-ft",
        "auto",
        "feature-extraction?head=svm",
        "feature-extraction?head=trained",
    ):
        with pytest.raises(HeadstartError, match=r"The head knn is fitted on frozen features"):
            StrategySpec.of(strategy, knn)
    names = ("lp-ft", "feature-extraction", "feature-extraction?head=trained", expected)
    assert [StrategySpec.of(name).head for name in names] == [None, None, None, "knn"]


@pytest.mark.parametrize("head", ["knm", "K-NN"])
def test_an_unknown_head_is_told_before_any_work(head: str, pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=f"Head '{head}' is not known. .*knn"):
        hs.fit(pictures, "seeded:convnet", tmp_path / "out", settings=Settings(head=head))
    with pytest.raises(UnknownNameError, match=f"Head '{head}' is not known"):
        strategy = f"feature-extraction?head={head}"
        hs.fit(pictures, "seeded:convnet", tmp_path / "out", strategy=strategy)


def test_a_head_whose_package_is_missing_is_told_before_any_work(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "xgboost", None)
    with pytest.raises(HeadstartError, match=r"pip install 'headstart\[xgboost\]'"):
        hs.fit(pictures, "seeded:convnet", tmp_path / "out", settings=Settings(head="xgboost"))
