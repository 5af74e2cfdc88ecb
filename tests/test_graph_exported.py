"""ONNX files as torch's exporter writes them now: trained, and equal to the network they are of."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from conftest import unheld
from graph_networks import features, load, node, tensor
from onnx import TensorProto, helper
from torch import Tensor, nn
from torch.nn import functional

from headstart.contracts import Backbone
from headstart.errors import HeadstartError

SIDE = 8
Parts = tuple[list[Any], list[Any]]  # nodes and constants


def drawn(*shape: int, seed: int = 0) -> np.ndarray:
    """Weights of this shape."""
    return np.random.default_rng(seed).normal(0, 0.3, shape).astype("float32")


def whole(name: str, *numbers: int) -> Any:
    """Whole numbers as a constant, such as axes and shapes."""
    return tensor(name, np.array(numbers))


def write(
    path: Path, parts: Parts, version: int = 20, shape: Sequence[Any] = ("n", 3, SIDE, SIDE)
) -> Path:
    """A classifier of 4 classes on the tensor `features` of these parts."""
    nodes, constants = parts
    width = 6
    nodes = [*nodes, node("Gemm", "features head_w head_b", "logits", transB=1)]
    constants = [*constants, tensor("head_w", drawn(4, width)), tensor("head_b", drawn(4))]
    value_info = helper.make_tensor_value_info("pictures", TensorProto.FLOAT, shape)
    answer = helper.make_tensor_value_info("logits", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "network", [value_info], [answer], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", version)])
    model.ir_version = 10
    data = f"{path.name}.data"
    onnx.save(model, str(path), save_as_external_data=True, location=data, size_threshold=0)
    return path


def convolved(kind: str = "Conv") -> Parts:
    nodes = [node(kind, "pictures w b", "map", strides=[2, 2])]
    return nodes, [tensor("w", drawn(6, 3, 2, 2)), tensor("b", drawn(6))]


def pooled() -> list[Any]:
    """As torch exports the mean over positions: its axes are an input."""
    return [
        node("ReduceMean", "on axes", "mean", keepdims=1),
        node("Reshape", "mean rows", "features", allowzero=1),
    ]


def small_cnn() -> Parts:
    nodes, constants = convolved()
    nodes += [node("Relu", "map", "on"), *pooled()]
    return nodes, [*constants, whole("axes", -1, -2), whole("rows", -1, 6)]


def shared_and_single() -> Parts:
    """For one picture at a time, weights through an Identity, as the older exporter shares them."""
    nodes, constants = convolved()
    nodes[0] = node("Conv", "pictures w same", "map", strides=[2, 2])
    nodes = [node("Identity", "b", "same"), *nodes, node("Relu", "map", "on"), *pooled()]
    return nodes, [*constants, whole("axes", 2, 3), whole("rows", 1, 6)]


def transformer() -> Parts:
    """A patch embedding, attention of two heads, and a layer with GELU."""
    nodes, constants = convolved()
    nodes += [
        node("Shape", "pictures", "count", start=0, end=1),
        node("Concat", "count size", "rows", axis=0),
        node("Reshape", "map rows", "flat", allowzero=1),
        node("Transpose", "flat", "tokens", perm=[0, 2, 1]),
        node("LayerNormalization", "tokens g s", "normed", axis=-1, epsilon=1e-5),
        *[node("MatMul", f"normed {name}", f"{name}_") for name in "qkv"],
        *[node("Reshape", f"{name}_ heads", f"{name}1") for name in "qkv"],
        *[node("Transpose", f"{name}1", f"{name}2", perm=[0, 2, 1, 3]) for name in "qv"],
        node("Transpose", "k1", "k2", perm=[0, 2, 3, 1]),
        node("MatMul", "q2 k2", "scores"),
        node("Softmax", "scores", "shares", axis=-1),
        node("MatMul", "shares v2", "mixed"),
        node("Transpose", "mixed", "back", perm=[0, 2, 1, 3]),
        node("Reshape", "back joined", "together"),
        node("Add", "together tokens", "sum"),
        node("Gelu", "sum", "active"),
        node("ReduceMean", "active one", "features", keepdims=0),
    ]
    more = [tensor(name, drawn(6, 6, seed=number)) for number, name in enumerate("qkv")]
    shapes = [whole("size", 6, -1), whole("heads", 0, -1, 2, 3), whole("joined", 0, -1, 6)]
    norm = [tensor("g", drawn(6) + 1), tensor("s", drawn(6, seed=1))]
    return nodes, [*constants, *more, *shapes, *norm, whole("one", 1)]


def own(name: str, seed: int = 0, *shape: int) -> Tensor:
    return torch.from_numpy(drawn(*shape, seed=seed))


def after_cnn(pictures: Tensor) -> Tensor:
    maps = functional.conv2d(pictures, own("w", 0, 6, 3, 2, 2), own("b", 0, 6), stride=2)
    return maps.relu().mean((2, 3))


def after_transformer(pictures: Tensor) -> Tensor:
    maps = functional.conv2d(pictures, own("w", 0, 6, 3, 2, 2), own("b", 0, 6), stride=2)
    tokens = maps.flatten(2).transpose(1, 2)
    normed = functional.layer_norm(tokens, (6,), own("g", 0, 6) + 1, own("s", 1, 6))
    heads = [
        (normed @ own("", number, 6, 6)).view(len(normed), -1, 2, 3).transpose(1, 2)
        for number in range(3)
    ]
    mixed = (heads[0] @ heads[1].transpose(2, 3)).softmax(-1) @ heads[2]
    return functional.gelu(mixed.transpose(1, 2).flatten(2) + tokens).mean(1)


NETWORKS: Mapping[str, tuple[Callable[[], Parts], Callable[[Tensor], Tensor], int, Any]] = {
    "cnn": (small_cnn, after_cnn, 20, "n"),
    "cnn of a later set": (small_cnn, after_cnn, 22, "n"),
    "cnn of one picture": (shared_and_single, after_cnn, 20, 1),
    "transformer": (transformer, after_transformer, 20, "n"),
}


def pictures(items: int = 3) -> Tensor:
    """The same pictures of chance each time."""
    return torch.rand(items, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


def close(actual: Tensor, expected: Tensor) -> bool:
    """Equal within a share of 1e-4."""
    return bool((actual - expected).norm() <= 1e-4 * expected.norm())


def moves(backbone: Backbone) -> bool:
    """Whether each weight of a network has a gradient that isn't zero."""
    network = nn.Sequential(*backbone.prefix())
    network(pictures()).square().sum().backward()
    return all(t.grad is not None and bool(t.grad.any()) for t in network.parameters())


@unheld
@pytest.mark.parametrize("name", NETWORKS)
def test_exported_networks_are_trained(name: str, tmp_path: Path) -> None:
    make, expected, version, batch = NETWORKS[name]
    path = write(tmp_path / "net.onnx", make(), version, (batch, 3, SIDE, SIDE))
    assert (tmp_path / "net.onnx.data").is_file()
    frozen, trained = load(path), load(path, trainable="true")
    for backbone in (frozen, trained):
        assert close(features(backbone, pictures()), expected(pictures()))
        assert isinstance(backbone.head, nn.Linear)
        assert torch.equal(backbone.head.weight, own("", 0, 4, 6))
    assert moves(trained)


def acted(operation: str, version: int, **settings: Any) -> Parts:
    nodes, constants = convolved()
    nodes += [node(operation, "map", "on", **settings), *pooled()]
    return nodes, [*constants, whole("axes", 2, 3), whole("rows", -1, 6)]


ACTIVATIONS: Sequence[tuple[str, int, dict[str, Any], Callable[[Tensor], Tensor]]] = [
    ("Gelu", 20, {"approximate": "tanh"}, lambda v: functional.gelu(v, approximate="tanh")),
    ("Mish", 18, {}, functional.mish),
    ("HardSwish", 22, {}, functional.hardswish),
    ("AveragePool", 19, {"kernel_shape": [2, 2]}, lambda v: functional.avg_pool2d(v, 2, 1)),
    ("GlobalMaxPool", 22, {}, lambda v: v.amax((2, 3), keepdim=True)),
]


@pytest.mark.parametrize(("kind", "version", "settings", "expected"), ACTIVATIONS)
def test_operations_of_later_sets(
    kind: str, version: int, settings: Any, expected: Any, tmp_path: Path
) -> None:
    path = write(tmp_path / "net.onnx", acted(kind, version, **settings), version)
    maps = functional.conv2d(pictures(), own("w", 0, 6, 3, 2, 2), own("b", 0, 6), stride=2)
    rows = features(load(path, trainable="true"), pictures())
    assert close(rows, expected(maps).mean((2, 3)))


def test_parts_are_cut_out_without_a_warning(tmp_path: Path) -> None:
    nodes, constants = convolved()
    cut = node("Slice", "map starts ends axes steps", "on")
    constants += [whole("starts", 0, -1), whole("ends", 2**62, -(2**62)), whole("axes", 2, 1)]
    constants += [whole("steps", 1, -1), whole("over", 2, 3), whole("rows", -1, 6)]
    rest = pooled()
    rest[0] = node("ReduceMean", "on over", "mean", keepdims=1)
    path = write(tmp_path / "net.onnx", ([*nodes, cut, *rest], constants))
    maps = functional.conv2d(pictures(), own("w", 0, 6, 3, 2, 2), own("b", 0, 6), stride=2)
    rows = features(load(path, trainable="true"), pictures())
    assert close(rows, maps.mean((2, 3)).flip(1))


def test_what_is_new_and_not_known_is_refused_with_advice_that_works(tmp_path: Path) -> None:
    spread = acted("AveragePool", 19, kernel_shape=[2, 2], dilations=[2, 2])
    path = write(tmp_path / "net.onnx", spread)
    with pytest.raises(HeadstartError, match=r"can't be trained \(AveragePool of version 19\)"):
        load(path, trainable="true")
    assert not load(path).differentiable


def test_whole_numbers_and_half_precision_are_trained(tmp_path: Path) -> None:
    parts = small_cnn()
    turn = [
        node("Cast", "pictures", "real", to=TensorProto.FLOAT16),
        node("Div", "real most", "scaled"),
        node("Cast", "scaled", "single", to=TensorProto.FLOAT),
        node("Transpose", "single", "turned", perm=[0, 3, 1, 2]),
        node("Conv", "turned w b", "map", strides=[2, 2]),
    ]
    most = tensor("most", np.array(255, "float16"))
    path = write(
        tmp_path / "net.onnx",
        ([*turn, *parts[0][1:]], [*parts[1], most]),
        shape=("n", SIDE, SIDE, 3),
    )
    model = onnx.load(str(path))
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    onnx.save(model, str(path))
    inputs = pictures().mul(255).round().div(255)
    for options in ({}, {"trainable": "true"}):
        backbone = load(path, **options)
        assert (backbone.preprocess["mean"], backbone.preprocess["std"]) == ([0.0] * 3, [1.0] * 3)
        rows = features(backbone, inputs)
        assert (rows - after_cnn(inputs)).norm() <= 1e-2 * after_cnn(inputs).norm()


def test_the_input_of_pictures_may_be_one_of_two(tmp_path: Path) -> None:
    path = write(tmp_path / "net.onnx", small_cnn())
    model = onnx.load(str(path))
    other = helper.make_tensor_value_info("ages", TensorProto.FLOAT, ["n", 4])
    model.graph.input.insert(0, other)
    model.graph.node.append(node("Add", "logits ages", "answer"))
    model.graph.output[0].name = "answer"
    onnx.save(model, str(path))
    for options in ({}, {"trainable": "true"}):
        rows = features(load(path, output="features", **options), pictures())
        assert close(rows, after_cnn(pictures()))


def quantised(path: Path) -> Path:
    """As onnxruntime's static quantiser writes it: pairs of operations, zero points beside."""

    def pair(name: str, scale: float, zero: Any, source: str) -> tuple[list[Any], list[Any]]:
        entries = f"{name}_s {name}_z"
        instances = [
            tensor(f"{name}_s", np.array(scale, "float32")),
            tensor(f"{name}_z", np.array(zero)),
        ]
        nodes = [
            node("QuantizeLinear", f"{source} {entries}", f"{name}_q"),
            node("DequantizeLinear", f"{name}_q {entries}", f"{name}_d"),
        ]
        return nodes, instances

    def kept(name: str, values: np.ndarray) -> tuple[list[Any], list[Any]]:
        scale = np.float32(np.abs(values).max() / 127)
        rows = [tensor(f"{name}_s", np.array(scale)), tensor(f"{name}_z", np.array(0, "int8"))]
        rows.append(tensor(f"{name}_q", np.round(values / scale).astype("int8")))
        return [node("DequantizeLinear", f"{name}_q {name}_s {name}_z", f"{name}_d")], rows

    first, weight = pair("x", 1 / 255, np.uint8(0), "pictures"), kept("w", drawn(6, 3, 2, 2))
    middle = pair("m", 0.01, np.uint8(90), "mean_flat")
    matrix, last = kept("h", drawn(4, 6)), pair("l", 0.02, np.uint8(120), "raw")
    nodes = [
        *first[0],
        *weight[0],
        node("Conv", "x_d w_d", "map", strides=[2, 2]),
        node("ReduceMean", "map axes", "mean_flat", keepdims=0),
        *middle[0],
        *matrix[0],
        node("Gemm", "m_d h_d head_b", "raw", transB=1),
        *last[0],
    ]
    constants = [each for part in (first, weight, middle, matrix, last) for each in part[1]]
    constants += [whole("axes", 2, 3), tensor("head_b", drawn(4))]
    value_info = helper.make_tensor_value_info("pictures", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])
    answer = helper.make_tensor_value_info("l_d", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "network", [value_info], [answer], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    model.ir_version = 10
    path.write_bytes(model.SerializeToString())
    return path


def test_a_quantised_network_is_frozen_features_with_its_head(tmp_path: Path) -> None:
    from onnx.reference import ReferenceEvaluator

    path = quantised(tmp_path / "net.onnx")
    backbone = load(path)
    reference: Any = ReferenceEvaluator(str(path))
    (expected,) = reference.run(None, {"pictures": pictures().numpy()})
    assert backbone.feature_dim == 6
    assert backbone.head is not None
    with torch.no_grad():
        values = backbone.head(features(backbone, pictures())).numpy()
    assert np.abs(values - expected).max() <= 0.03  # the answers' own steps are 0.02
    with pytest.raises(HeadstartError, match=r"can't be trained \(it is quantised\)\. Leave"):
        load(path, trainable="true")


@pytest.mark.parametrize("batch", ["any", "one"])
def test_torch_itself_exports_it(batch: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript", reason="torch exports only with onnxscript")
    network = nn.Sequential(
        nn.Conv2d(3, 6, 3, 2), nn.BatchNorm2d(6), nn.GELU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    ).eval()
    path = tmp_path / "net.onnx"
    shapes: Any = ({0: "batch"},) if batch == "any" else None
    images = pictures(2 if shapes else 1)
    classifier = nn.Sequential(*network, nn.Linear(6, 4)).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter's own parts
        torch.onnx.export(classifier, (images,), path, dynamic_shapes=shapes, dynamo=True)
    with torch.no_grad():
        assert close(features(load(path, trainable="true"), pictures()), network(pictures()))
