"""ONNX as onnx2torch reads it: operations that it lacks, and nodes in forms that it knows.

The former are taught to it through its own registry. It ends with operator set 17, and torch's
exporter writes 18 and later. Most operations only take more types there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib import import_module
from typing import Any, Final, final

import numpy as np
from torch import Tensor, nn
from torch.nn import functional

from headstart.hubs.graph import settled
from headstart.loading.lean import without_compiler

_UNSAFE: Final = re.compile(r"[^0-9A-Za-z_/:.+-]")
_NEWEST: Final = 25  # operator set up to which versions were compared
_HARMLESS: Final = {("Split", "num_outputs"), ("Cast", "saturate")}  # their outputs show it
_REDUCTIONS: Final = ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "SumSquare")
_ACTIVATIONS: Final[Mapping[tuple[str, int], Callable[[Mapping[str, Any]], nn.Module]]] = {
    ("Gelu", 20): lambda settings: nn.GELU(str(settings.get("approximate", "none"))),
    ("Mish", 18): lambda settings: nn.Mish(),
    ("GlobalMaxPool", 1): lambda settings: nn.AdaptiveMaxPool2d(1),
}


@final
class Attention(nn.Module):
    """Attention with several heads (Vaswani et al. 2017) over what is split into them already."""

    def __init__(self, scale: float | None, causal: bool) -> None:
        super().__init__()
        self.scale = scale
        self.causal = causal

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Three (N, heads, T, D) to one."""
        if queries.dim() != 4:
            raise ValueError("Attention over heads that are not split is not known")
        return functional.scaled_dot_product_attention(
            queries, keys, values, is_causal=self.causal, scale=self.scale
        )


@lru_cache(maxsize=1)
def register() -> None:
    """Add what is missing, once. Raises ImportError where onnx2torch is not installed."""
    with without_compiler():  # which comes with torchvision
        registry = import_module("onnx2torch.node_converters.registry")
    for name in _REDUCTIONS:
        _add(registry, f"Reduce{name}", 18, _reduction)
    for name in ("Max", "Min"):
        _add(registry, f"Reduce{name}", 20, _reduction)
    for (name, version), make in _ACTIVATIONS.items():
        _add(registry, name, version, _module(make))
    _add(registry, "GroupNormalization", 21, _group_norm)
    for version in (23, 24):
        _add(registry, "Attention", version, _attention)
    settled.register(registry)
    newest: dict[str, int] = {}
    for description in registry._CONVERTER_REGISTRY:
        if description.domain == "":
            name, version = description.operation_type, description.version
            newest[name] = max(version, newest.get(name, 0))
    for name, version in newest.items():
        _add_later(registry, name, version)


def _add(registry: Any, name: str, version: int, converter: Callable[..., Any]) -> None:
    key = registry.OperationDescription("", name, version)
    if key not in registry._CONVERTER_REGISTRY:  # a later onnx2torch may know it
        registry.add_converter(name, version)(converter)


def _add_later(registry: Any, name: str, version: int) -> None:
    """Let the converter of one version serve later ones, for nodes that use nothing newer."""
    definitions = import_module("onnx.defs")
    before = definitions.get_schema(name, version, "")
    converter = registry.get_converter(name, version)
    for newer in range(version + 1, min(_NEWEST, definitions.onnx_opset_version()) + 1):
        schema = definitions.get_schema(name, newer, "")
        if schema.since_version == newer:
            _add(registry, name, newer, _as_before(converter, before, schema))


def _as_before(converter: Callable[..., Any], before: Any, schema: Any) -> Callable[..., Any]:
    usual = {key: a.default_value for key, a in schema.attributes.items()}
    new = {key for key in usual if (schema.name, key) not in _HARMLESS} - set(before.attributes)
    inputs = len(before.inputs)
    endless = any("Variadic" in str(entry.option) for entry in before.inputs)

    def convert(node: Any, graph: Any) -> Any:
        used = [a.name for a in node.proto.attribute if a.name in new and a != usual[a.name]]
        more = [] if endless else [name for name in node.input_values[inputs:] if name]
        if used or more:
            raise NotImplementedError(
                f"operation_type='{schema.name}', version={schema.since_version}"
            )
        return converter(node, graph)

    return convert


def _result(node: Any, module: nn.Module, inputs: int) -> Any:
    common = import_module("onnx2torch.utils.common")
    mapping = common.OnnxMapping(inputs=node.input_values[:inputs], outputs=node.output_values)
    return common.OperationConverterResult(torch_module=module, onnx_mapping=mapping)


def _module(make: Callable[[Mapping[str, Any]], nn.Module]) -> Callable[..., Any]:
    return lambda node, graph: _result(node, make(node.attributes), 1)


def _reduction(node: Any, graph: Any) -> Any:
    """Since version 18 the axes are an input."""
    axes = settled.constant(node, graph, 1)
    axes = None if axes is None else [int(axis) for axis in axes.flatten()]
    if not axes and node.attributes.get("noop_with_empty_axes", 0):
        return _result(node, nn.Identity(), 1)
    kind = import_module("onnx2torch.node_converters.reduce").OnnxReduceStaticAxes
    keeps = node.attributes.get("keepdims", 1)
    return _result(node, kind(node.operation_type, axes or None, keeps), 1)


def _group_norm(node: Any, graph: Any) -> Any:
    """Group normalisation (Wu and He 2018), a scale and a shift for each channel."""
    scale, shift = settled.constant(node, graph, 1), settled.constant(node, graph, 2)
    epsilon = float(node.attributes.get("epsilon", 1e-5))
    module = nn.GroupNorm(int(node.attributes["num_groups"]), len(scale), eps=epsilon)
    module.load_state_dict({"weight": scale, "bias": shift})
    return _result(node, module, 1)


def _attention(node: Any, graph: Any) -> Any:
    """Queries, keys and values; masks and what was computed before are not known."""
    settings = dict(node.attributes)
    scale, causal = settings.pop("scale", None), bool(settings.pop("is_causal", 0))
    more = [name for name in (*node.input_values[3:], *node.output_values[1:]) if name]
    if more or any(settings.values()):
        raise NotImplementedError("operation_type='Attention', version=23")
    return _result(node, Attention(scale, causal), 3)


def rewrite(model: Any) -> Any:
    """The model itself, its nodes renamed and changed in place; what they compute stays."""
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
        tensor = shapes.get(node.input[1])
        shape = np.array([-1]) if tensor is None else np.array(helper.to_array(tensor))
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
            sides, width = shapes.get(node.input[0], []), weights[node.input[1]]
            for side, length in zip(reversed(sides), reversed(width), strict=False):
                side.dim_value = length


def _first(value: Any) -> int:
    """The length of a tensor's first axis, 0 where it isn't known."""
    sides = value.type.tensor_type.shape.dim
    return int(sides[0].dim_value) if len(sides) else 0
