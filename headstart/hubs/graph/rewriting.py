"""An ONNX model's nodes in the forms that onnx2torch reads; what they compute stays."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any, Final

import numpy as np

_UNSAFE: Final = re.compile(r"[^0-9A-Za-z_/:.+-]")


def rewrite(model: Any) -> Any:
    """The model itself, its nodes renamed and changed in place."""
    for node in model.graph.node:  # torch.fx writes the names into the code that it runs
        node.name = _UNSAFE.sub("_", node.name)
    _single(model.graph)
    _share(model.graph)
    _reshape(model.graph)
    _widen(model.graph)
    return model


def _single(graph: Any) -> None:
    """Let numbers of half and of double precision be float32, in which networks are trained."""
    helper, kinds = import_module("onnx.numpy_helper"), import_module("onnx").TensorProto
    others = (kinds.FLOAT16, kinds.BFLOAT16, kinds.DOUBLE)
    tensors = list(graph.initializer)
    for node in graph.node:
        tensors += [setting.t for setting in node.attribute if setting.HasField("t")]
        for setting in node.attribute:
            if node.op_type == "Cast" and setting.name == "to" and setting.i in others:
                setting.i = kinds.FLOAT
    for tensor in tensors:
        if tensor.data_type in others:
            values = np.asarray(helper.to_array(tensor), dtype=np.float32)
            tensor.CopyFrom(helper.from_array(values, tensor.name))
    for value in [*graph.input, *graph.output, *graph.value_info]:
        if value.type.tensor_type.elem_type in others:
            value.type.tensor_type.elem_type = kinds.FLOAT


def _share(graph: Any) -> None:
    """Let nodes read weights themselves, not through the Identity of weights that others share."""
    weights = {tensor.name for tensor in graph.initializer}
    answers = {value.name for value in graph.output}
    same: dict[str, str] = {}
    for node in list(graph.node):
        for place, name in enumerate(node.input):
            node.input[place] = same.get(name, name)
        shares = node.op_type == "Identity" and not node.domain and node.input[0] in weights
        if shares and node.output[0] not in answers:
            same[node.output[0]] = node.input[0]
            graph.node.remove(node)


def _reshape(graph: Any) -> None:
    """Take `allowzero` off shapes without a zero, and let those for one picture take any number.

    torch exports the former, and the latter where the batch is one. Whether pictures stay apart
    is for the caller to see.
    """
    helper = import_module("onnx.numpy_helper")
    shapes = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
            shapes[node.output[0]] = node.attribute[0].t
    single = {value.name for value in [*graph.input, *graph.value_info] if _first(value) == 1}
    for number, node in enumerate(graph.node):
        if node.op_type != "Reshape" or node.domain:
            continue
        known = shapes.get(node.input[1])
        shape = np.array([-1]) if known is None else np.array(helper.to_array(known))
        if shape.ndim != 1 or not shape.size or (shape == 0).any():
            continue
        for setting in [a for a in node.attribute if a.name == "allowzero"]:
            node.attribute.remove(setting)
        if node.input[0] in single and shape[0] == 1:
            shape[0] = 0  # as many as there are
            freed = f"{node.input[1]}_of_any_number_{number}"
            graph.initializer.append(helper.from_array(shape, freed))
            node.input[1] = freed


def _widen(graph: Any) -> None:
    """Say how wide layers are that are normalised, which their weights show and shapes may not."""
    weights = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    shapes = {value.name: value.type.tensor_type.shape.dim for value in graph.value_info}
    for node in graph.node:
        if node.op_type == "LayerNormalization" and node.input[1] in weights:
            known, width = shapes.get(node.input[0], []), weights[node.input[1]]
            for side, length in zip(reversed(known), reversed(width), strict=False):
                side.dim_value = length


def _first(value: Any) -> int:
    """The length of a tensor's first axis, 0 where it isn't known."""
    sides = value.type.tensor_type.shape.dim
    return int(sides[0].dim_value) if len(sides) else 0
