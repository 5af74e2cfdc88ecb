"""Small networks as graph files, made without a framework's exporter."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from headstart import catalog
from headstart.contracts import Backbone


def tensor(name: str, values: np.ndarray) -> Any:
    """A constant of an ONNX graph."""
    from onnx import numpy_helper

    return numpy_helper.from_array(values, name)


def node(kind: str, inputs: str, output: str, **attributes: Any) -> Any:
    """An operation of an ONNX graph; `inputs` are names with spaces between."""
    from onnx import helper

    return helper.make_node(kind, inputs.split(), [output], **attributes)


def write(path: Path, nodes: Sequence[Any], constants: Sequence[Any], shape: Sequence[Any]) -> Path:
    """An ONNX file from `pictures` of this shape to the last node's output.

    A string in the shape stands for any number.
    """
    from onnx import TensorProto, helper

    value_info = helper.make_tensor_value_info("pictures", TensorProto.FLOAT, shape)
    answer = helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "network", [value_info], [answer], list(constants))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    path.write_bytes(model.SerializeToString())
    return path


def weights(seed: int = 0) -> dict[str, np.ndarray]:
    """Those of the classifier: two convolutions and a matrix for 4 classes."""
    rng = np.random.default_rng(seed)
    shapes = {"a": (8, 3, 3, 3), "b": (6, 8, 3, 3), "m": (4, 6), "c": (4,)}
    return {name: rng.normal(0, 0.4, shape).astype("float32") for name, shape in shapes.items()}


def body() -> list[Any]:
    """Pictures -> a map of 6 channels."""
    return [
        node("Conv", "pictures a", "first", strides=[2, 2]),
        node("Relu", "first", "first_on"),
        node("Conv", "first_on b", "second", pads=[1, 1, 1, 1]),
        node("Relu", "second", "map"),
    ]


def constants(names: str) -> list[Any]:
    """The weights of these names as constants."""
    return [tensor(name, weights()[name]) for name in names]


def load(name: Path | str, **options: str) -> Backbone:
    """The backbone of a graph file."""
    pairs = "&".join(f"{key}={value}" for key, value in options.items())
    return catalog.load_backbone(f"graph:{name}{'?' if pairs else ''}{pairs}")


def pictures(items: int = 3, side: int = 8) -> Tensor:
    """The same pictures of chance each time."""
    return torch.rand(items, 3, side, side, generator=torch.Generator().manual_seed(1))


def features(backbone: Backbone, inputs: Tensor) -> Tensor:
    """What its stages answer."""
    network = nn.Sequential(*backbone.prefix()).eval()
    with torch.no_grad():
        model: Tensor = network(inputs)
    return model


def expected(inputs: Tensor) -> Tensor:
    """The features of the classifier, computed in torch."""
    own = {name: torch.from_numpy(values) for name, values in weights().items()}
    first = functional.conv2d(inputs, own["a"], stride=2).relu()
    return functional.conv2d(first, own["b"], padding=1).relu().mean((2, 3))


def classifier(path: Path, batch: int | str = "n", flatten: Any = None, side: Any = 8) -> Path:
    """An ONNX classifier of pictures of this side, with a softmax at its end.

    `flatten` is the operation from `pooled` (N, 6, 1, 1) to `features`; `batch` a number, where it
    is fixed.
    """
    nodes = [
        *body(),
        node("GlobalAveragePool", "map", "pooled"),
        flatten or node("Flatten", "pooled", "features"),
        node("Gemm", "features m c", "logits", transB=1),
        node("Softmax", "logits", "answer", axis=1),
    ]
    constants = [tensor(name, values) for name, values in weights().items()]
    constants.append(tensor("row", np.array([1, 6])))
    return write(path, nodes, constants, [batch, 3, side, side])


def single(path: Path) -> Path:
    """A classifier that takes one picture and no more, its features ending in 1 and 2."""
    rest = np.array([[1.0, 2.0]], dtype="float32")
    matrix = np.random.default_rng(1).normal(size=(8, 4)).astype("float32")
    nodes = [
        *body(),
        node("GlobalAveragePool", "map", "pooled"),
        node("Flatten", "pooled", "flat"),
        node("Concat", "flat rest", "features", axis=1),
        node("MatMul", "features matrix", "answer"),
    ]
    constants = [tensor(name, weights()[name]) for name in "ab"]
    constants += [tensor("rest", rest), tensor("matrix", matrix)]
    return write(path, nodes, constants, [1, 3, 8, 8])
