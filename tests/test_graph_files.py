"""Graph files as backbones: what is found in them, how they are fed, kept, and refused."""

from __future__ import annotations

import json
import pickle
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from graph_networks import (
    body,
    classifier,
    constants,
    expected,
    features,
    load,
    node,
    pictures,
    tensor,
    weights,
    write,
)
from torch import nn

from headstart import catalog
from headstart.contracts import Backbone
from headstart.contracts.model import Model
from headstart.errors import HeadstartError, UnknownNameError, WeightsError
from headstart.loading import openvino_graph as graph
from headstart.loading.weights import save


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


# --- features and heads ---


def test_the_last_matrix_is_the_head(here: Path) -> None:
    backbone = load(classifier(here / "tiny.onnx"))
    rows = features(backbone, pictures())
    assert torch.allclose(rows, expected(pictures()), atol=1e-5)
    assert backbone.origin.reference == "graph:" + str(here / "tiny.onnx") + "?output=features"
    assert not backbone.differentiable
    assert isinstance(backbone.head, nn.Linear)
    own = weights()
    assert torch.equal(backbone.head.weight, torch.from_numpy(own["m"]))
    assert torch.equal(backbone.head.bias, torch.from_numpy(own["c"]))


@pytest.mark.parametrize("output", ["features", "pooled", "map"])
def test_any_tensor_may_be_the_features(here: Path, output: str) -> None:
    backbone = load(classifier(here / "tiny.onnx"), output=output)
    assert torch.allclose(features(backbone, pictures()), expected(pictures()), atol=1e-5)
    assert backbone.head is None


def test_without_a_head_the_answer_is_the_features(here: Path) -> None:
    backbone = load(classifier(here / "tiny.onnx"), head="false")
    assert backbone.head is None
    own = weights()
    logits = expected(pictures()) @ torch.from_numpy(own["m"]).T + torch.from_numpy(own["c"])
    rows = features(backbone, pictures())
    assert torch.allclose(rows, logits.softmax(1), atol=1e-5)
    trained = load(here / "tiny.onnx", head="false", trainable="true")
    assert torch.allclose(features(trained, pictures()), rows, atol=1e-5)


def test_what_is_not_plain_is_asked_for(here: Path) -> None:
    path = classifier(here / "tiny.onnx")
    with pytest.raises(UnknownNameError, match=r"Tensor of .*tiny\.onnx 'featurs'.*'features'"):
        load(path, output="featurs")
    headless = write(here / "headless.onnx", body(), constants("ab"), ["n", 3, 8, 8])
    with pytest.raises(HeadstartError, match=r"output=NAME, such as one of map, second, first_on"):
        load(headless)
    assert load(headless, output="map").feature_dim == 6


def test_a_last_convolution_over_positions_is_a_head(here: Path) -> None:
    """With something between it and the answer that no linear layer computes, as in SqueezeNet."""
    for between, head in (("Identity", True), ("Relu", False)):
        nodes = [
            *body(),
            node("Conv", "map k", "scores"),
            node(between, "scores", "kept"),
            node("GlobalAveragePool", "kept", "pooled"),
            node("Flatten", "pooled", "logits"),
            node("Softmax", "logits", "answer", axis=1),
        ]
        kernel = weights()["m"][:, :, None, None]
        path = here / f"{between}.onnx"
        backbone = load(write(path, nodes, [*constants("ab"), tensor("k", kernel)], ["n", 3, 8, 8]))
        rows = features(backbone, pictures())
        assert torch.allclose(rows, expected(pictures()), atol=1e-5)
        assert (backbone.head is not None) == head
        if backbone.head is not None:
            assert torch.allclose(backbone.head(rows), rows @ torch.from_numpy(kernel[..., 0, 0].T))


def test_scales_and_shifts_behind_the_matrix_belong_to_the_head(here: Path) -> None:
    nodes = [
        *body(),
        node("GlobalAveragePool", "map", "pooled"),
        node("Flatten", "pooled", "features"),
        node("MatMul", "features t", "product"),
        node("Add", "product c", "shifted"),
        node("Mul", "shifted two", "answer"),
    ]
    own = weights()
    more = [tensor("t", own["m"].T.copy()), tensor("two", np.array(2, dtype="float32"))]
    backbone = load(write(here / "two.onnx", nodes, [*constants("abc"), *more], ["n", 3, 8, 8]))
    assert isinstance(backbone.head, nn.Linear)
    assert torch.allclose(backbone.head.weight, 2 * torch.from_numpy(own["m"]))
    assert torch.allclose(backbone.head.bias, 2 * torch.from_numpy(own["c"]))


# --- how they are fed ---


def test_channels_last_are_found_and_fed(here: Path) -> None:
    turn = node("Transpose", "pictures", "turned", perm=[0, 3, 1, 2])
    rest = body()
    rest[0] = node("Conv", "turned a", "first", strides=[2, 2])
    back = node("Transpose", "map", "last", perm=[0, 2, 3, 1])
    path = write(here / "last.onnx", [turn, *rest, back], constants("ab"), ["n", 8, 8, 3])
    backbone = load(path, output="last")
    assert backbone.preprocess["mean"] == [0.5, 0.5, 0.5]
    assert torch.allclose(features(backbone, pictures()), expected(pictures()), atol=1e-5)


def test_whole_numbers_are_fed_as_such(here: Path) -> None:
    path = here / "whole.onnx"
    rest = body()
    rest[0] = node("Conv", "real a", "first", strides=[2, 2])
    write(path, [node("Cast", "pictures", "real", to=1), *rest], constants("ab"), ["n", 3, 8, 8])
    import onnx

    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.UINT8
    onnx.save(model, path)
    backbone = load(path, output="map")
    assert (backbone.preprocess["mean"], backbone.preprocess["std"]) == ([0.0] * 3, [1.0] * 3)
    inputs = (pictures() * 255).round() / 255
    assert torch.allclose(features(backbone, inputs), expected(inputs * 255), rtol=1e-4)
    with pytest.raises(HeadstartError, match="in whole numbers, which mean= and std="):
        load(path, output="map", mean="0.5")


def test_the_size_comes_from_the_graph(here: Path) -> None:
    fixed = classifier(here / "fixed.onnx")
    free = classifier(here / "free.onnx", side="side")
    for backbone, side in (
        (load(fixed), 8),
        (load(fixed, size="16"), 16),
        (load(free), 224),
        (load(free, size="12", mean="0", std="0.00392", crop="0.875"), 12),
    ):
        assert (backbone.preprocess["height"], backbone.preprocess["width"]) == (side, side)
        rows = features(backbone, pictures(2, side))
        assert torch.allclose(rows, expected(pictures(2, side)), atol=1e-4)
    assert backbone.preprocess["std"] == [0.00392] * 3
    with pytest.raises(HeadstartError, match="says channels=1, but the graph takes 3"):
        load(fixed, channels="1")


@pytest.mark.parametrize("flatten", ["Flatten", "Reshape"])
def test_a_fixed_batch_becomes_any(here: Path, flatten: str) -> None:
    inputs = "pooled" if flatten == "Flatten" else "pooled row"
    path = classifier(here / "one.onnx", 1, node(flatten, inputs, "features"))
    backbone = load(path)
    network = backbone.stages["graph"]
    assert isinstance(network, graph.Graph)
    assert network.network().input(0).partial_shape[0].is_dynamic
    assert torch.allclose(features(backbone, pictures()), expected(pictures()), atol=1e-5)
    again = load(path)
    assert again.architecture == backbone.architecture
    assert again.origin.weights_hash == backbone.origin.weights_hash


def test_openvino_files_are_read(here: Path) -> None:
    openvino = graph.library()
    model = openvino.Core().read_model(classifier(here / "tiny.onnx"))
    openvino.save_model(model, here / "tiny.xml", compress_to_fp16=False)
    rows = features(load("tiny.xml"), pictures())
    assert torch.allclose(rows, expected(pictures()), atol=1e-5)


# --- what is kept ---


def saved(backbone: Backbone, folder: Path) -> Path:
    """What an artifact holds of a backbone."""
    folder.mkdir()
    save(Model.of(backbone, nn.Identity()).backbone_state(), folder / "model.safetensors", {})
    for name, content in backbone.files.items():
        (folder / name).write_bytes(content)
    architecture = str(replace(backbone.architecture, name="."))
    record = {"format": 1, "architecture": architecture}
    (folder / "headstart.json").write_text(json.dumps(record))
    return folder


def test_a_saved_model_needs_no_original(here: Path) -> None:
    own = load(classifier(here / "tiny.onnx"))
    saved(own, here / "model")
    (here / "tiny.onnx").unlink()
    again = catalog.load_backbone("checkpoint:model")
    assert again.origin.weights_hash == own.origin.weights_hash
    assert again.preprocess == own.preprocess
    assert torch.equal(features(again, pictures()), features(own, pictures()))
    bare = catalog.load_backbone(again.architecture)
    assert not bare.origin.pretrained
    assert not torch.allclose(features(bare, pictures()), features(own, pictures()))


def test_a_changed_saved_model_is_refused(here: Path) -> None:
    text = saved(load(classifier(here / "tiny.onnx")), here / "model") / "graph.xml"
    with pytest.raises(HeadstartError, match="size=9, but the saved graph takes 8x8"):
        catalog.load_backbone("checkpoint:model?size=9")
    with pytest.raises(HeadstartError, match="leads out of its folder"):
        load("model", graph="../model/graph.xml")
    whole = text.read_text()
    text.write_text(re.sub(r'offset="\d+"', 'offset="10000000000000"', whole))
    with pytest.raises(WeightsError, match=r"does not hold the 1\d{13} bytes that"):
        catalog.load_backbone("checkpoint:model")
    text.write_text(whole + " ")
    with pytest.raises(HeadstartError, match=r"graph\.xml has changed"):
        catalog.load_backbone("checkpoint:model")
    text.write_bytes(pickle.dumps(print))
    with pytest.raises(WeightsError, match="not a graph that was saved"):
        catalog.load_backbone("checkpoint:model")


def test_random_weights_are_shuffled_ones(here: Path) -> None:
    path = classifier(here / "tiny.onnx")
    own, other = (
        load(path, **options).stages["graph"].get_buffer("constants")
        for options in ({}, {"pretrained": "false"})
    )
    size = weights()["a"].nbytes
    first, second = own[:size].view(torch.float32), other[:size].view(torch.float32)
    assert not torch.equal(first, second)
    assert torch.equal(first.sort().values, second.sort().values)
