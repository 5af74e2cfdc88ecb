"""A backbone that was seen before: its models are made without its network, and are no others."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from conftest import write_pictures
from safetensors.torch import load_file, save_file

import headstart as hs
from headstart import artifact, catalog
from headstart.contracts import Backbone
from headstart.contracts.frozen import FrozenModel, LinearHead
from headstart.contracts.levels import Level
from headstart.features import prepared
from headstart.features.engine import converting, graphs
from headstart.loading import arrays, engine_form, weights
from headstart.loading.engine_form import EngineForm
from headstart.pipeline import known_backbones
from headstart.pipeline.prepare import RunContext
from headstart.runtime import known, sources
from headstart.runtime.places import cache_folder
from headstart.runtime.progress import Silent

ROOT = Path(__file__).resolve().parents[1]
NETWORK = "test_efficientnet"  # the smallest of timm's
FROZEN = hs.Settings(scratch=False, evidence="none")
TORCH = {"torch", "torchvision", "timm", "transformers", "accelerate", "peft", "captum"}


def draw(folder: Path, seed: int = 0) -> str:
    """Random weights in a file, and the reference that names them."""
    torch.manual_seed(seed)
    network = timm.create_model(NETWORK)
    folder.mkdir(exist_ok=True)
    save_file(network.state_dict(), folder / "weights.safetensors")
    return f"timm:{NETWORK}@{folder / 'weights.safetensors'}?size=32"


def fit(data: Path, reference: str, out: Path, **options: Any) -> hs.Result:
    chosen: dict[str, Any] = {"strategy": "feature-extraction", "settings": FROZEN, **options}
    return hs.fit(data, reference, out, **chosen)


def refuse(*_: object, **__: object) -> Any:
    raise AssertionError("the network is loaded")


def late(reference: str) -> Backbone:
    """A backbone that is known from before."""
    loaded = known_backbones.recall(reference, refuse)
    assert loaded is not None
    return loaded.backbone


def hold_out(folder: Path, seed: int) -> Path:
    """Pictures of two classes, some of them held out."""
    write_pictures(folder / "train", {"ants": 30, "bees": 30}, seed=seed)
    write_pictures(folder / "test", {"ants": 12, "bees": 12}, seed=seed + 1)
    return folder


def answers_alike(folder: Path, data: Path) -> None:
    """The saved model answers without torch as its network does, opened from the same folder."""
    files = sorted((data / "test" / "bees").iterdir())[:5]
    model = hs.load(folder, device="cpu")
    before = model.predict_proba(files), model.embed(files)
    assert isinstance(model.module, torch.nn.Module)  # from here on torch answers
    for fast, plain in zip(before, (model.predict_proba(files), model.embed(files)), strict=True):
        np.testing.assert_allclose(fast, plain, rtol=1e-4, atol=1e-4)


@dataclass(frozen=True)
class First:
    """The first fit on a backbone: its reference, data and model, and the cache it leaves."""

    reference: str
    data: Path
    model: Path
    cache: Path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> First:
    root = tmp_path_factory.mktemp("first")
    reference, data = draw(root / "weights"), hold_out(root / "data", 0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADSTART_CACHE", str(root / "cache"))
        fit(data, reference, root / "model")
    return First(reference, data, root / "model", root / "cache")


@pytest.fixture
def first(made: First, own_cache: Path) -> First:
    """It, with this test's cache as it left its own; nothing else of it may be changed."""
    shutil.copytree(made.cache, own_cache)
    return made


@pytest.mark.parametrize("judge", ["holdout", "cv"])
def test_a_known_backbone_needs_no_network(
    first: First, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, judge: str
) -> None:
    settings = hs.Settings(scratch=False, evidence="none", judge=judge)
    data, out = hold_out(tmp_path / "two", 5), tmp_path / "second"
    with monkeypatch.context() as patch:
        patch.setattr(catalog, "load_backbone", refuse)
        fit(data, first.reference, out, settings=settings)
    answers_alike(out, data)
    before, after = (load_file(folder / artifact.WEIGHTS) for folder in (first.model, out))
    assert before.keys() == after.keys()
    differing = {name for name in before if not torch.equal(before[name], after[name])}
    assert differing == {"classifier.weight", "classifier.bias"}
    records = [artifact.read(folder) for folder in (first.model, out)]
    for name in ("architecture", "labels", "preprocess", "origin", "task", "modality"):
        assert getattr(records[0], name) == getattr(records[1], name)
    assert records[0].engine.keys() == records[1].engine.keys()
    assert {path.name for path in out.iterdir()} == {path.name for path in first.model.iterdir()}


def test_what_computes_features_is_what_the_saved_model_answers_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, settings = hold_out(tmp_path / "data", 0), replace(FROZEN, engine="openvino")
    monkeypatch.setattr(converting, "as_graph", refuse)  # it would be converted a second time
    fit(data, draw(tmp_path / "weights"), tmp_path / "model", settings=settings)
    assert artifact.read(tmp_path / "model").engine
    answers_alike(tmp_path / "model", data)


@pytest.mark.slow
def test_all_evidence_of_a_known_backbone_needs_no_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = draw(tmp_path / "weights").replace("size=32", "size=96")
    fit(hold_out(tmp_path / "one", 0), reference, tmp_path / "first")
    data = hold_out(tmp_path / "two", 5)
    monkeypatch.setattr(catalog, "load_backbone", refuse)
    settings = hs.Settings(scratch=False, evidence="full")
    result = fit(data, reference, tmp_path / "second", settings=settings)
    findings = result.to_json()
    assert {row["corruption"] for row in findings["robustness"]} >= {"none", "blur"}
    assert {row["metric"] for row in findings["metrics"]} >= {"AUROC", "macro F1", "log loss"}
    page = (tmp_path / "second" / "report.html").read_text(encoding="utf-8")
    assert ("Why the model says so" in page) == bool(findings["items"]["mistakes"])


def test_the_same_data_give_the_same_model_with_and_without_a_network(
    first: First, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog, "load_backbone", refuse)
    shutil.rmtree(cache_folder() / "features")  # so that all features are computed anew
    fit(first.data, first.reference, tmp_path / "without")
    files = sorted((first.data / "test" / "ants").iterdir())
    models = (hs.load(folder, device="cpu") for folder in (first.model, tmp_path / "without"))
    one, other = (model.predict_proba(files) for model in models)
    np.testing.assert_allclose(one, other, atol=1e-3)


def test_a_known_backbone_is_trained_all_the_same(first: First, tmp_path: Path) -> None:
    settings = hs.Settings(scratch=False, evidence="quick", epochs=1)
    data, saved = first.data, f"checkpoint:{first.model}"
    fit(data, first.reference, tmp_path / "tuned", strategy="last-stages", settings=settings)
    fit(data, saved, tmp_path / "again")
    fit(data, saved, tmp_path / "once-more")
    answers_alike(tmp_path / "once-more", data)


def test_other_weights_under_the_same_name_are_seen(tmp_path: Path) -> None:
    reference, data = draw(tmp_path / "weights"), hold_out(tmp_path / "data", 0)
    fit(data, reference, tmp_path / "first")
    assert known_backbones.recall(reference, lambda: catalog.load_backbone(reference))
    draw(tmp_path / "weights", seed=1)
    assert known_backbones.recall(reference, lambda: catalog.load_backbone(reference)) is None
    fit(data, reference, tmp_path / "second")
    first, second = (artifact.read(tmp_path / name).origin for name in ("first", "second"))
    assert first["weights_hash"] != second["weights_hash"]
    answers_alike(tmp_path / "second", data)


def test_a_file_that_comes_beside_the_weights_is_seen(tmp_path: Path) -> None:
    reference = draw(tmp_path / "weights")
    backbone = catalog.load_backbone(reference)
    known_backbones.remember(reference, backbone, 1.0)
    assert known_backbones.recall(reference, lambda: backbone) is not None
    (tmp_path / "weights" / "config.json").write_text("{}")
    assert known_backbones.recall(reference, lambda: backbone) is None


def test_weights_that_change_in_a_run_are_said(tmp_path: Path) -> None:
    reference = draw(tmp_path / "weights")
    known_backbones.remember(reference, catalog.load_backbone(reference), 1.0)

    def other() -> Any:
        return catalog.load_backbone(draw(tmp_path / "other", seed=2))

    loaded = known_backbones.recall(reference, other)
    assert loaded is not None
    assert loaded.backbone.is_late
    with pytest.raises(hs.HeadstartError, match="changed while they were in use"):
        loaded.backbone.prefix()


def test_what_is_damaged_is_made_anew(first: First, tmp_path: Path) -> None:
    reference, data = first.reference, first.data
    (folder,) = (cache_folder() / prepared.FOLDER).iterdir()
    for path in sorted(folder.iterdir()):
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        assert prepared.recall(late(reference)) is None
        path.write_bytes(whole)
        assert prepared.recall(late(reference)) is not None
    path.write_bytes(b"")
    fit(data, reference, tmp_path / "second")
    answers_alike(tmp_path / "second", data)
    (record,) = (cache_folder() / known.FOLDER).glob("backbone-*.json")
    content = json.loads(record.read_text())
    for forged in ({}, {**content, "facts": {}}, {**content, "stamp": 3}, {**content, "places": 3}):
        record.write_text(json.dumps(forged))
        assert known_backbones.recall(reference, refuse) is None


def test_a_late_backbone_is_like_the_one_it_stands_for(tmp_path: Path) -> None:
    reference = draw(tmp_path / "weights")
    whole = catalog.load_backbone(reference)
    known_backbones.remember(reference, whole, 1.0)
    loaded = known_backbones.recall(reference, lambda: whole)
    assert loaded is not None
    late = loaded.backbone
    assert (len(late.stages), list(late.stages)) == (len(whole.stages), list(whole.stages))
    assert late.parameters == whole.parameters
    for each in fields(Backbone):
        if each.name in ("stages", "pool", "head", "transcriber"):
            continue
        own, expected = (getattr(one, each.name) for one in (late, whole))
        if each.name == "native" or not isinstance(expected, str | Mapping):
            own, expected = (json.loads(json.dumps(one, default=str)) for one in (own, expected))
        assert own == expected, each.name
    assert late.is_late
    assert late.pool is whole.pool
    assert not late.is_late
    assert list(late.unpooled().values()) == list(whole.unpooled().values())
    with pytest.raises(AttributeError):
        _ = late.nothing
    again = replace(late, notes=("of another",))
    assert again.parts == {} and again.pool is whole.pool


def test_what_json_does_not_hold_is_never_forgotten(tmp_path: Path) -> None:
    reference = draw(tmp_path / "weights")
    whole = catalog.load_backbone(reference)
    rich: list[dict[str, Any]] = [{"parts": {"rows": whole}}, {"levels": (Level(4, {}, {}),)}]
    for more in (*rich, {"summary": whole.pool}):
        known_backbones.remember(reference, replace(whole, **more), 1.0)
        assert known_backbones.recall(reference, refuse) is None
    known_backbones.remember(reference, replace(whole, heads=("nearest",), layers=("a",)), 1.0)
    labels = late(reference)
    assert (labels.heads, labels.layers) == (["nearest"], ["a"])


def test_random_weights_are_never_kept(tmp_path: Path) -> None:
    reference = f"timm:{NETWORK}?size=32&pretrained=false"
    known_backbones.remember(reference, catalog.load_backbone(reference), 1.0)
    assert known_backbones.recall(reference, lambda: catalog.load_backbone(reference)) is None


def test_a_linear_head_as_arrays_is_the_layer(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    head = LinearHead(rng.normal(size=(3, 5)).astype("f4"), rng.normal(size=3).astype("f4"))
    features = rng.normal(size=(7, 5)).astype("f4")
    with torch.inference_mode():
        expected = head.layer()(torch.from_numpy(features)).numpy()
    np.testing.assert_allclose(head(features), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(head.divided(2.0)(features), expected / 2, rtol=1e-5, atol=1e-6)
    arrays.save(head.arrays(), tmp_path / "head.safetensors", {})
    own = arrays.read(tmp_path / "head.safetensors")
    files = graphs.placed({engine_form.HEAD: graphs.linear(head)}, [own])
    body = graphs.placed({engine_form.BODY: graphs.linear(head)}, [own])
    form = EngineForm.of({**body, **files}, [own.content])
    np.testing.assert_allclose(form.outputs(features), expected, rtol=1e-5, atol=1e-6)
    assert form.width == 5


def test_arrays_are_stored_as_tensors_are(tmp_path: Path) -> None:
    state = {
        "weight": torch.rand(3, 4),
        "count": torch.tensor(7),
        "half": torch.rand(2).half(),
        "none": torch.zeros(0, 3),
        "whole": torch.arange(5),
        "mask": torch.tensor([True, False]),
    }
    weights.save(state, tmp_path / "torch.safetensors", {"format": "pt"})
    stored = arrays.read(tmp_path / "torch.safetensors")
    names = stored.arrays()
    assert arrays.digest(names) == stored.digest() == weights.digest(state)
    arrays.save(names, tmp_path / "numpy.safetensors", {"format": "pt"})
    whole = [(tmp_path / f"{name}.safetensors").read_bytes() for name in ("torch", "numpy")]
    assert whole[0] == whole[1]


def test_a_stamp_changes_with_any_file(tmp_path: Path) -> None:
    file = tmp_path / "snapshots" / "one" / "model.bin"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"weights")
    stamps = [sources.stamp([file])]
    (tmp_path / "refs").mkdir()
    (tmp_path / "refs" / "main").write_text("one")
    stamps.append(sources.stamp([file]))
    (file.parent / "config.json").write_text("{}")
    stamps.append(sources.stamp([file]))
    file.write_bytes(b"other")
    stamps.append(sources.stamp([file]))
    stamps.append(sources.stamp([file.parent, file]))
    os.utime(file, ns=(1, 1))
    stamps.append(sources.stamp([file]))
    for place, one in enumerate(stamps):
        assert one is not None
        assert (one in stamps[:place]) is (place == 4)  # a folder of the same files
    assert sources.stamp([tmp_path / "missing"]) is None


def test_a_frozen_model_is_its_network_under_its_head() -> None:
    backbone = catalog.load_backbone("seeded:convnet")
    head = LinearHead(np.ones((2, backbone.feature_dim), "f4"), np.zeros(2, "f4"))
    model = FrozenModel(backbone, head)
    assert list(model.network.stages) == list(backbone.unpooled().values())
    assert torch.equal(
        model.network.get_parameter("head.weight"), torch.ones(2, backbone.feature_dim)
    )


def modules(folder: Path, *arguments: str | Path) -> set[str]:
    """Everything that a command imports, in its process and those that it starts."""
    command = [sys.executable, "-X", "importtime", "-m", "headstart", *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, check=False, cwd=folder
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return set(re.findall(r"^import time:.*\| +(\S+)$", done.stderr, re.MULTILINE))


@pytest.mark.slow
def test_a_fit_on_a_known_backbone_imports_no_torch(tmp_path: Path) -> None:
    reference = draw(tmp_path / "weights")
    command = ["-b", reference, "-s", "feature-extraction", "--no-scratch", "--evidence", "none"]
    first, second = hold_out(tmp_path / "one", 0), hold_out(tmp_path / "two", 9)
    assert modules(tmp_path, "fit", first, *command, "-o", "first") >= {"torch", "timm"}
    for data, out in ((second, "second"), (second, "third")):
        imported = modules(tmp_path, "fit", data, *command, "-o", out)
        assert not imported & TORCH
        assert "openvino._pyopenvino" in imported
    answers_alike(tmp_path / "second", second)
    assert 0 <= hs.evaluate(tmp_path / "second", second / "test").score.value <= 1


def test_what_others_took_while_a_backbone_was_loaded_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference, own = draw(tmp_path / "weights"), catalog.load_backbone

    def slow(name: str) -> Backbone:
        time.sleep(1.0)
        return own(name)

    monkeypatch.setattr(catalog, "load_backbone", slow)
    context = RunContext.of(hs.Settings(), Silent())
    started = time.monotonic()
    context.load(reference)
    took = time.monotonic() - started
    loaded = known_backbones.recall(reference, refuse)
    assert loaded is not None and loaded.seconds <= took - 0.9
    assert loaded.seconds <= context.loads[0] <= took
