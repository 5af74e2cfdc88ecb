"""The arms: the same items for all, frozen stages untouched, scratch given its chance."""

from __future__ import annotations

import copy
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from conftest import SCRATCH_RATES
from torch import nn

from headstart import catalog
from headstart.contracts.model import Model
from headstart.data import load
from headstart.defaults import Settings
from headstart.evidence import (
    Experiment,
    features_arm,
    judging,
    naive_arm,
    scratch_arm,
    strategy_arm,
)
from headstart.evidence.arms import unchanged
from headstart.evidence.fitting import answers, full_probe
from headstart.features.loaders import CachedLoader
from headstart.features.reading import Reader
from headstart.features.store import Rows
from headstart.runtime import machine
from headstart.runtime.budget import Budget
from headstart.training import predict


def test_unchanged_sees_any_bit_of_a_frozen_stage() -> None:
    backbone = tiny.backbone("seeded:residual?width=4")
    head = nn.Linear(backbone.feature_dim, 2)
    model = Model.of(copy.deepcopy(backbone), head)
    stages = len(model.stages)
    assert unchanged(model, backbone, stages)
    names = list(model.stages[1].state_dict())
    assert any("running_mean" in name for name in names)
    assert any("num_batches_tracked" in name for name in names)
    for name in names:
        spoiled = copy.deepcopy(model)
        tensor = spoiled.stages[1].state_dict()[name].view(-1)
        if tensor.is_floating_point():
            tensor[0] = torch.nextafter(tensor[0], torch.tensor(torch.inf))
        else:
            tensor[0] += 1
        assert unchanged(spoiled, backbone, 1), name
        assert not unchanged(spoiled, backbone, 2), name


def target(root: Path, workspace: Path, **chosen: object) -> Experiment:
    modality = catalog.modality("image")
    made = Settings(**{"device": "cpu", "epochs": 2, **chosen})  # type: ignore[arg-type] # mixed
    return Experiment(
        load(root, modality),
        catalog.task("image-classification"),
        Reader(modality, tiny.backbone().preprocess),
        made,
        machine.Compute.of(made, 0),
        Budget(made.budget),
        tiny.Recording(),
        workspace=workspace,
    )


def test_naive_and_features_arms_are_the_same_items_under_other_heads(
    pictures: Path, tmp_path: Path
) -> None:
    aim, backbone = target(pictures, tmp_path), tiny.backbone()
    features = features_arm(aim, backbone)
    naive = naive_arm(aim, features)
    truth = aim.dataset.targets("test")
    commonest = np.bincount(aim.dataset.targets("train")).argmax()
    assert naive.arm.scores.tolist() == (truth == commonest).tolist()
    assert features.arm.scores.mean() > naive.arm.scores.mean()
    for made in (naive, features):
        outputs = predict(made.model, aim.raw("test"), aim.accelerator)
        assert made.arm.scores.tolist() == aim.task.scores(outputs, truth).tolist()


def test_validation_is_answered_by_a_probe_that_has_not_seen_it(
    pictures: Path, tmp_path: Path
) -> None:
    aim, backbone = target(pictures, tmp_path), tiny.backbone()
    features, examples = features_arm(aim, backbone), aim.examples(backbone)
    assert features.start is not None
    inputs = {name: torch.from_numpy(given[0]) for name, given in examples.items()}
    train, unseen = examples["train"], (examples["validation"][0][:0], np.zeros(0, np.int64))
    alone = aim.task.probe(train, unseen, aim.labels)
    with torch.inference_mode():
        for split, head in (("validation", alone), ("test", features.model.head)):
            expected = head(inputs[split]).numpy()
            np.testing.assert_allclose(features.arm.outputs[split], expected, atol=1e-4)
        other = features.start(inputs["test"]).numpy()
        np.testing.assert_allclose(other, alone(inputs["test"]).numpy(), atol=1e-4)
    assert np.abs(other - features.arm.outputs["test"]).max() > 1e-3


@pytest.mark.parametrize("augment", ["auto", "yes"])
def test_a_strategy_arm_keeps_frozen_stages_whatever_it_reads(
    pictures: Path, tmp_path: Path, augment: str, own_cache: Path
) -> None:
    aim, backbone = target(pictures, tmp_path, augment=augment), tiny.backbone()
    features = features_arm(aim, backbone)
    stored = len(list(own_cache.rglob("rows.bin")))
    made = strategy_arm(aim, backbone, catalog.strategy("last-stages"), "last-stages", features)
    assert made.checks == {"frozen stages are bit-identical": True}
    assert len(list(own_cache.rglob("rows.bin"))) - stored == (augment == "auto")
    assert made.arm.scores.shape == features.arm.scores.shape
    assert made.arm.seconds > features.arm.seconds
    assert (
        made.arm.selection_key >= features.arm.selection_key
    )  # it starts from the probe and keeps the best
    assert made.arm.steps == made.training.steps > 0


@pytest.mark.parametrize("clear", [False, True])
def test_a_trained_network_gets_a_head_that_has_learned_from_validation_too(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clear: bool
) -> None:
    """Unless the one that was trained is clearly better on validation."""
    aim, backbone = target(pictures, tmp_path), tiny.backbone()
    features = features_arm(aim, backbone)
    monkeypatch.setattr(judging, "clearly", lambda *scores: clear)
    made = strategy_arm(aim, backbone, catalog.strategy("last-stages"), "last-stages", features)
    assert made.start is not None
    own = made.model
    body = own.with_head(nn.Identity())
    parts = {
        name: (judging._outputs(aim, body, aim.dataset.split(name)), aim.dataset.targets(name))
        for name in ("train", "validation", "test")
    }
    alone = aim.task.probe(parts["train"], parts["validation"], aim.labels)
    both = full_probe(aim.task, parts["train"], parts["validation"], aim.labels)
    heads = (made.start, made.start) if clear else (alone, both)
    for split, head in zip(("validation", "test"), heads, strict=True):
        expected = answers(head, parts[split][0])
        np.testing.assert_allclose(made.arm.outputs[split], expected, rtol=1e-3, atol=1e-3)
    assert (made.model.head is made.start) is clear


def test_a_training_that_ends_where_it_began_is_no_worse_than_frozen_features(
    pictures: Path, tmp_path: Path
) -> None:
    aim, backbone = target(pictures, tmp_path, learning_rate=1e-12), tiny.backbone()
    features = features_arm(aim, backbone)
    made = strategy_arm(aim, backbone, catalog.strategy("last-stages"), "last-stages", features)
    found, wanted = (each.arm.outputs["test"] for each in (made, features))
    np.testing.assert_allclose(found, wanted, rtol=1e-2, atol=1e-2)


@pytest.mark.skipif(not machine.has_bf16(torch.device("cpu")), reason="multiplies in fp32 alone")
@pytest.mark.parametrize("views", [0, 2])
def test_a_strategy_arm_trains_on_activations_in_bf16(
    pictures: Path, tmp_path: Path, views: int
) -> None:
    backbone = tiny.backbone()
    aim = target(pictures, tmp_path, precision="bf16", engine="torch", views=views, epochs=4)
    features = features_arm(aim, backbone)
    strategy = catalog.strategy("last-stages?count=1")
    splits = aim.splits(backbone, strategy, 4)
    assert isinstance(splits.train, CachedLoader)
    stored = aim.activations(backbone, splits.train.start).rows
    assert isinstance(stored, Rows)
    assert stored.tensor(np.arange(1)).dtype == torch.bfloat16
    made = strategy_arm(aim, backbone, strategy, "last-stages?count=1", features)
    assert made.checks == {"frozen stages are bit-identical": True}
    assert made.arm.selection_key >= features.arm.selection_key
    assert made.training.history[-1]["loss"] < 0.7


def test_many_items_are_judged_by_an_engine_that_agrees(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aim, backbone = target(pictures, tmp_path), tiny.backbone()
    model = features_arm(aim, backbone).model
    plain = judging.judge(aim, model)
    monkeypatch.setattr(judging, "WORTH_CONVERTING", 1)
    quick = judging.judge(aim, model)
    for split in ("validation", "test"):
        expected = predict(model, aim.raw(split), aim.accelerator)
        assert plain[split].shape == (len(aim.dataset.split(split)), 2)
        np.testing.assert_allclose(plain[split], expected, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(quick[split], expected, rtol=1e-2, atol=1e-3)
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert np.array_equal(judging.judge(aim, model)["test"], plain["test"])


def test_a_frozen_model_is_judged_by_the_engine_of_its_features(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aim, backbone = target(pictures, tmp_path, precision="fp32", engine="openvino"), tiny.backbone()
    model = features_arm(aim, backbone).model
    items, plain = aim.dataset.split("test"), judging.judge(aim, model)["test"]
    found = judging.outputs_of(aim, model, backbone)(items)
    np.testing.assert_allclose(found, plain, rtol=1e-2, atol=1e-3)
    trained = copy.deepcopy(model)
    with torch.no_grad():
        next(trained.stages.parameters()).mul_(3)
    changed = judging.judge(aim, trained)["test"]
    monkeypatch.setattr(judging, "_extracting", None)  # it is none whose features are stored
    others = judging.outputs_of(aim, trained, backbone)(items)
    np.testing.assert_allclose(others, changed, rtol=1e-2, atol=1e-2)


def test_the_scratch_arm_gets_its_own_rates_and_twice_the_steps(
    pictures: Path, tmp_path: Path
) -> None:
    aim = target(pictures, tmp_path)
    reference = aim.recipe(catalog.strategy("full-fine-tuning"), "chosen", tiny.backbone())
    untrained = catalog.load_backbone("seeded:convnet?width=4&pretrained=false")
    calls: list[object] = []

    def rebuild() -> object:
        calls.append(None)
        return catalog.load_backbone(untrained.architecture)

    made, said = scratch_arm(aim, rebuild, reference, SCRATCH_RATES)  # type: ignore[arg-type] # counts as well
    per_epoch = -(-len(aim.dataset.split("train")) // reference.batch_size)
    assert made.arm.steps >= 2 * reference.epochs * per_epoch - 2 * reference.epochs
    assert len(calls) == len(SCRATCH_RATES) + 2  # the last, and one to know it again by
    assert all(f"{rate:g}" in said for rate in SCRATCH_RATES)
    assert f"{made.arm.steps} steps" in said
    assert "upper bound" not in said


def test_a_scratch_arm_cut_by_the_budget_says_so(pictures: Path, tmp_path: Path) -> None:
    aim = target(pictures, tmp_path, budget=1e-3)
    reference = aim.recipe(catalog.strategy("full-fine-tuning"), "chosen", tiny.backbone())
    made, said = scratch_arm(aim, tiny.backbone, reference)
    assert "ended by the budget, so the gain is an upper bound" in said
    assert made.arm.steps == 1
