"""ONNX files as networks of torch that can be trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from conftest import write_pictures
from graph_networks import (
    body,
    classifier,
    constants,
    expected,
    features,
    load,
    node,
    pictures,
    single,
    tensor,
    weights,
    write,
)
from torch import nn

import headstart as hs
from headstart import catalog
from headstart.contracts.model import Model
from headstart.errors import HeadstartError
from headstart.loading.weights import save


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return classifier(tmp_path / "tiny.onnx")


def test_it_computes_what_the_frozen_one_does(path: Path) -> None:
    backbone = load(path, trainable="true")
    assert backbone.differentiable
    assert len(backbone.stages) >= 3
    assert torch.allclose(features(backbone, pictures()), expected(pictures()), atol=1e-5)
    assert isinstance(backbone.head, nn.Linear)
    assert torch.equal(backbone.head.weight, torch.from_numpy(weights()["m"]))
    trained = [t for stage in backbone.prefix() for t in stage.parameters()]
    assert {tuple(t.shape) for t in trained} >= {(8, 3, 3, 3), (6, 8, 3, 3)}


@pytest.mark.parametrize("seed", range(4))
def test_a_random_one_resizes_as_the_file_does(tmp_path: Path, seed: int) -> None:
    """By how much maps grow is a constant of the file, like weights, and none of them."""
    grow = onnx.helper.make_node("Resize", ["map", "", "scales"], ["larger"])
    scales = tensor("scales", np.array([1, 1, 2, 2], np.float32))
    arguments = [*constants("ab"), scales]
    path = write(tmp_path / "grow.onnx", [*body(), grow], arguments, ["n", 3, 12, 12])
    torch.manual_seed(seed)
    backbone = load(path, trainable="true", output="larger", pretrained="false")
    assert features(backbone, pictures(2, 12)).shape == (2, 6)


def test_any_tensor_and_any_order_of_axes(tmp_path: Path) -> None:
    turn = node("Transpose", "pictures", "turned", perm=[0, 3, 1, 2])
    back = node("Transpose", "map", "last", perm=[0, 2, 3, 1])
    rest = body()
    rest[0] = node("Conv", "turned a", "first", strides=[2, 2])
    path = write(tmp_path / "last.onnx", [turn, *rest, back], constants("ab"), ["n", 12, 12, 3])
    backbone = load(path, trainable="true", output="last")
    images = pictures(2, 12)
    assert torch.allclose(features(backbone, images), expected(images), atol=1e-5)


def test_matrices_of_no_layer_are_trained_and_shuffled(tmp_path: Path) -> None:
    square = weights()["m"].T.copy()
    nodes = [
        *body(),
        node("GlobalAveragePool", "map", "pooled"),
        node("Flatten", "pooled", "flat"),
        node("MatMul", "flat t", "mixed"),
        node("Mul", "mixed g", "features"),
        node("Gemm", "features h", "answer"),
    ]
    more = [tensor("t", square), tensor("g", weights()["c"]), tensor("h", square.T @ square)]
    path = write(tmp_path / "mixed.onnx", nodes, [*constants("ab"), *more], ["n", 3, 8, 8])
    backbone = load(path, trainable="true", output="features")
    by_name = {n: t for stage in backbone.prefix() for n, t in stage.named_parameters()}
    (name,) = [n for n, t in by_name.items() if t.shape == (6, 4)]
    assert torch.equal(by_name[name], torch.from_numpy(square))
    features(backbone, pictures()).shape  # noqa: B018
    torch.manual_seed(0)
    bare = load(path, trainable="true", output="features", pretrained="false")
    other = {n: t for stage in bare.prefix() for n, t in stage.named_parameters()}[name]
    assert not torch.equal(other, by_name[name])
    assert torch.equal(other.flatten().sort().values, by_name[name].flatten().sort().values)


def test_it_is_rebuilt_from_its_own_file(path: Path, tmp_path: Path) -> None:
    own = load(path, trainable="true")
    with torch.no_grad():
        for stage in own.prefix():
            for tensor_ in stage.parameters():
                tensor_.mul_(1.5)
    folder = tmp_path / "model"
    folder.mkdir()
    save(Model.of(own, nn.Identity()).backbone_state(), folder / "model.safetensors", {})
    (folder / "graph.onnx").write_bytes(own.files["graph.onnx"])
    path.unlink()
    where = replace(own.architecture, name=str(folder), weights=str(folder / "model.safetensors"))
    again = catalog.load_backbone(where)
    assert torch.equal(features(again, pictures()), features(own, pictures()))
    assert again.architecture.options == own.architecture.options
    bare = catalog.load_backbone(replace(where, weights=None))
    assert not torch.equal(features(bare, pictures()), features(own, pictures()))


def test_what_cannot_be_trained_is_told(path: Path, tmp_path: Path) -> None:
    with pytest.raises(HeadstartError, match=r"takes one picture at a time|two pictures"):
        load(single(tmp_path / "one.onnx"), trainable="true")
    odd = node("LpNormalization", "map", "answer", axis=1)
    write(tmp_path / "odd.onnx", [*body(), odd], constants("ab"), ["n", 3, 8, 8])
    with pytest.raises(
        HeadstartError, match=r"can't be trained \(LpNormalization of version 1\)\. Leave"
    ):
        load(tmp_path / "odd.onnx", trainable="true", output="answer")
    (tmp_path / "net.tflite").touch()
    with pytest.raises(HeadstartError, match=r"is not ONNX\. Leave trainable=true out"):
        load(tmp_path / "net.tflite", trainable="true")


def test_training_a_frozen_graph_offers_both_ways(path: Path, tmp_path: Path) -> None:
    photos = write_pictures(tmp_path / "photos", {"ants": 8, "bees": 8}, size=8)
    with pytest.raises(HeadstartError, match=r"-s feature-extraction, or write \?trainable=true\."):
        hs.fit(photos, f"graph:{path}", tmp_path / "model", strategy="full-fine-tuning")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "strategy"), [("", "feature-extraction"), ("?trainable=true", "full-fine-tuning")]
)
def test_fit_saves_and_proves(path: Path, tmp_path: Path, options: str, strategy: str) -> None:
    photos = write_pictures(tmp_path / "photos", {"ants": 20, "bees": 20}, size=8)
    settings = hs.Settings(epochs=2, scratch=bool(options), evidence="none")
    reference = f"graph:{path}{options}"
    result = hs.fit(photos, reference, tmp_path / "model", strategy=strategy, settings=settings)
    path.unlink()
    assert result.to_json()["arms"]["chosen"]["value"] >= 0.8
    source = catalog.load_backbone(f"checkpoint:{tmp_path / 'model'}")
    assert source.head is not None
    assert source.differentiable == bool(options)


def test_names_of_nodes_are_never_run(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    hostile = onnx.load(str(path))
    for number, each in enumerate(hostile.graph.node):  # torch.fx writes names into its code
        each.name = f'forward"), open("ran", "w"), str("{number}'
    onnx.save(hostile, str(path))
    rows = features(load(path, trainable="true"), pictures())
    assert torch.allclose(rows, expected(pictures()), atol=1e-5)
    assert not Path("ran").exists()
