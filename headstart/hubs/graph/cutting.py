"""Finding a classifier's head in a graph: the last matrix before its answer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
import torch
from torch import nn

from headstart.errors import HeadstartError
from headstart.hubs.graph.reading import Opened, computed
from headstart.loading import openvino_graph as graph
from headstart.loading.weights import linear

_LAST: Final = {"Softmax", "LogSoftmax", "Sigmoid"}  # what turns logits into answers
_POOLS: Final = {"ReduceMean", "AvgPool"}
_SHAPES: Final = {
    "Identity",
    "Reshape",
    "Squeeze",
    "Unsqueeze",
    "Transpose",
    "Convert",
    "FakeQuantize",
}
_AFFINE: Final = {"Add", "Subtract", "Multiply"}  # with a constant behind
_ACTIVATIONS: Final = {"Relu", "Clamp"}


@final
@dataclass(frozen=True)
class Cut:
    """Where the features are. `axis` is that of their channels, None where it isn't known."""

    features: Any  # openvino.Output
    name: str | None
    axis: int | None
    head: nn.Linear | None


def cut(opened: Opened, output: str, head: bool = True) -> Cut:
    """The features: the tensor `output`, or what a classifier's last matrix reads.

    Without `head` they are the graph's one answer.

    Raises HeadstartError, naming tensors, where none is so called, or it isn't clear which it is.
    """
    if output:
        return Cut(opened.output(output), output, None, None)
    results = opened.model.get_results()
    if not head and len(results) == 1:
        answer = results[0].input_value(0)
        return Cut(answer, opened.name(answer, 0), None, None)
    walks = [_walk(opened.model, result) for result in results]
    ends = [walk for walk in walks if walk is not None]
    if len({walk.features.get_node().get_name() for walk in ends}) == 1:
        walk = ends[0]
        name = opened.name(walk.features, math.prod(walk.node.input_value(1).get_shape()))
        return Cut(walk.features, name, walk.axis, _linear(opened.model, walk))
    fault = "several answers" if ends else "no classifier's last layer that is plain to see"
    names = ", ".join(opened.names())
    raise HeadstartError(
        f"{opened.path} has {fault}. Say which tensor is the features with output=NAME"
        f"{f', such as one of {names}' if names else ''}."
    )


@final
@dataclass(frozen=True)
class _Walk:
    """The operation that multiplies by the last matrix, and those behind it, the last first.

    Behind are an operation's kind, and the constants that it reads.
    """

    node: Any
    behind: list[tuple[str, list[Any]]]

    @property
    def features(self) -> Any:
        return self.node.input_value(0)

    @property
    def axis(self) -> int:
        rank = len(self.features.partial_shape)
        return 1 if self.node.get_type_name() == "Convolution" else rank - 1


def _walk(model: Any, result: Any) -> _Walk | None:
    """From an answer back to the last matrix; None where something else is met first."""
    live = {node.get_name() for node in computed(model)}
    live |= {node.get_name() for node in model.get_parameters()}
    value = result.input_value(0)
    behind: list[tuple[str, list[Any]]] = []
    while True:
        node = value.get_node()
        kind = node.get_type_name()
        sources = [v for v in node.input_values() if v.get_node().get_name() in live]
        if kind in ("MatMul", "Convolution"):
            return _Walk(node, behind) if _is_head(node, behind, len(sources)) else None
        kinds = {other for other, _ in behind}
        passes = kind in _LAST | _POOLS | _SHAPES | _AFFINE
        if len(sources) != 1 or not (passes or (kind in _ACTIVATIONS and kinds & _LAST)):
            return None
        if kind == "Subtract" and sources[0] != node.input_value(0):  # from a constant
            return None
        constants = [v for v in node.input_values() if v.get_node().get_name() not in live]
        behind.append((kind, constants))
        value = sources[0]


def _is_head(node: Any, behind: list[tuple[str, list[Any]]], sources: int) -> bool:
    shape = node.input_value(1).partial_shape
    if sources != 1 or shape.is_dynamic:
        return False
    if node.get_type_name() == "MatMul":
        return len(shape) == 2 and not node.get_attributes()["transpose_a"]
    pooled = any(kind in _POOLS for kind, _ in behind)
    answer = node.output(0).partial_shape
    single = answer.rank.is_static and all(
        d.is_static and d.get_length() == 1 for d in list(answer)[2:]
    )
    return list(shape)[2:] == [1] * (len(shape) - 2) and (single or pooled)


def _linear(model: Any, walk: _Walk) -> nn.Linear | None:
    """The head as a layer of torch: what is between the features and the logits, if linear."""
    node, weight = walk.node, _value(model, walk.node.input_value(1))
    if weight is None:
        return None
    if node.get_type_name() == "Convolution":
        weight = weight.reshape(weight.shape[:2])
    elif not node.get_attributes()["transpose_b"]:
        weight = weight.T
    bias = np.zeros(len(weight), dtype=np.float32)
    for kind, constants in reversed(walk.behind):
        if kind in _LAST:
            break
        if kind in _ACTIVATIONS:
            return None
        step = _step(kind, [_value(model, constant) for constant in constants], len(weight))
        if step is None:
            return None
        factor, term = step
        weight, bias = weight * factor.reshape(-1, 1), bias * factor + term
    parts = {"weight": weight, "bias": bias}
    tensors = {n: torch.from_numpy(np.array(v, dtype=np.float32)) for n, v in parts.items()}
    return linear(tensors, None, "the graph")


def _step(kind: str, terms: list[Any | None], classes: int) -> tuple[np.ndarray, np.ndarray] | None:
    """What an operation multiplies logits with and adds to them; None where it isn't so plain.

    The rounding to levels in a network of whole numbers is left out, and its scale is kept.
    """
    values = [np.asarray(t, dtype=np.float64).reshape(-1) for t in terms if t is not None]
    factor, term = np.ones(1), np.zeros(1)
    if kind in _SHAPES | _POOLS and kind != "FakeQuantize":
        return factor, term
    if len(values) < len(terms) or any(t.size not in (1, classes) for t in values):
        return None
    if kind == "FakeQuantize":
        low, high, least, most = values
        factor = (most - least) / np.maximum(high - low, np.finfo(np.float32).tiny)
        term = least - low * factor
    elif kind == "Multiply":
        factor = values[0]
    else:
        term = values[0] if kind == "Add" else -values[0]
    return factor, term


def _value(model: Any, value: Any) -> Any | None:
    """What a tensor is that depends on no picture, as an array; None for any other."""
    openvino, passes = graph.library(), graph.library("openvino.passes")
    part = openvino.Model([value], model.get_parameters()).clone()
    manager = passes.Manager()
    manager.register_pass(passes.ConstantFolding())  # of what depends on shapes alone
    manager.run_passes(part)
    try:
        rest = openvino.Model([part.get_results()[0].input_value(0)], [])
        return np.array(graph.compiled(rest)([])[0])
    except RuntimeError:
        return None
