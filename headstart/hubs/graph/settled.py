"""Operations that a tensor of the file steers: where it is a constant, they know it as numbers.

Tracers take what is read from a tensor for something that each input may change, and give up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, Final, final

import numpy as np
from torch import Tensor, nn
from torch.fx import GraphModule
from torch.nn import functional

from headstart.loading.layer_graph import sliced

_SLICES: Final = (10, 11, 13)  # versions
_RESHAPES: Final = (5, 13, 14)
_RESIZES: Final = (10, 11, 13)
_BATCH_AND_CHANNELS: Final = 2
Numbers = Sequence[float] | None


@final
class Slice(nn.Module):
    """Parts of a tensor along some of its axes, also backwards.

    `constants` are starts, ends, axes and steps, of which the latter two may be None.
    """

    def __init__(self, constants: tuple[Numbers, ...] = ()) -> None:
        super().__init__()
        self.constants = constants

    def forward(self, values: Tensor, *steered: Tensor | None) -> Tensor:
        """Values (…) to values (…)."""
        own = self.constants or [None if each is None else each.tolist() for each in steered]
        first, last, axes, steps = (*own, None, None)[:4]
        if first is None or last is None:
            raise ValueError("Slice without starts and ends")
        along, by = axes or range(len(first)), steps or [1] * len(first)
        for start, end, axis, step in zip(first, last, along, by, strict=True):
            values = sliced(values, int(axis), slice(int(start), int(end), int(step)))
        return values


@final
class Reshape(nn.Module):
    """The same numbers in a shape that is known, of which 0 is a side as it was."""

    def __init__(self, sides: Sequence[int]) -> None:
        super().__init__()
        self.sides = tuple(sides)

    def forward(self, values: Tensor, *steered: Tensor) -> Tensor:
        """Values (…) to values (…)."""
        return values.reshape([side or values.shape[n] for n, side in enumerate(self.sides)])


@final
class Resize(nn.Module):
    """Maps (N, C, …) larger or smaller by `scales` of the last axes, in a mode of onnx2torch's."""

    def __init__(self, mode: str, align_corners: bool | None, scales: Sequence[float]) -> None:
        super().__init__()
        self.mode, self.align_corners, self.scales = mode, align_corners, tuple(scales)

    def forward(self, values: Tensor, *steered: Tensor | None) -> Tensor:
        """Maps to maps."""
        theirs = import_module("onnx2torch.node_converters.resize")
        return functional.interpolate(
            values,
            scale_factor=list(self.scales),
            mode=theirs._onnx_mode_to_torch_mode(self.mode, len(self.scales)),
            align_corners=self.align_corners,
        )


def register(registry: Any) -> None:
    """Let them stand where theirs would, wherever the numbers are constants."""
    for version in _SLICES:  # theirs warns at each use with torch of today
        _put(registry, "Slice", version, _slice)
    for name, versions, make in (
        ("Reshape", _RESHAPES, _reshape),
        ("Resize", _RESIZES, _resize),
    ):
        for version in versions:
            theirs = registry.get_converter(name, version)
            _put(registry, name, version, _where_known(theirs, make))


def let_go(network: GraphModule) -> None:
    """Read no more what is known: a tracer would take it for an input, an empty one for a fault."""
    for node in network.graph.nodes:
        if node.op != "call_module":
            continue
        module = network.get_submodule(str(node.target))
        if isinstance(module, Reshape | Resize) or (isinstance(module, Slice) and module.constants):
            node.args = node.args[:1]
    network.graph.eliminate_dead_code()
    network.recompile()


def _put(registry: Any, name: str, version: int, converter: Callable[..., Any]) -> None:
    registry._CONVERTER_REGISTRY[registry.OperationDescription("", name, version)] = converter


def _where_known(
    theirs: Callable[..., Any], make: Callable[[Any, Any, Any], nn.Module | None]
) -> Callable[..., Any]:
    def convert(node: Any, graph: Any) -> Any:
        result = theirs(node, graph)
        module = make(result.torch_module, node, graph)
        return result if module is None else result._replace(torch_module=module)

    return convert


def _slice(node: Any, graph: Any) -> Any:
    common = import_module("onnx2torch.utils.common")
    constants = tuple(_numbers(node, graph, place) for place in range(1, len(node.input_values)))
    steered = [name for name in node.input_values[1:] if name]
    settled = len(steered) == sum(each is not None for each in constants)
    mapping = common.OnnxMapping(inputs=node.input_values[:5], outputs=node.output_values)
    module = Slice(constants) if settled else Slice()
    return common.OperationConverterResult(torch_module=module, onnx_mapping=mapping)


def _reshape(own: nn.Module, node: Any, graph: Any) -> nn.Module | None:
    sides = _numbers(node, graph, 1)
    return None if sides is None else Reshape([int(side) for side in sides])


def _resize(own: Any, node: Any, graph: Any) -> nn.Module | None:
    theirs = import_module("onnx2torch.node_converters.resize")
    old = isinstance(own, theirs.OnnxResizeV10)
    own = own._resize if old else own
    scales, sizes = _numbers(node, graph, 1 if old else 2), not old and len(node.input_values) > 3
    ones, behind = (scales or [])[:_BATCH_AND_CHANNELS], (scales or [])[_BATCH_AND_CHANNELS:]
    if sizes or ones != [1, 1] or not (old or own.ignore_roi):
        return None
    return Resize(own.onnx_mode, own.align_corners, behind)


def constant(node: Any, graph: Any, place: int) -> Any:
    """What an input is, None without it. Raises NotImplementedError where it is computed."""
    if len(node.input_values) <= place or not node.input_values[place]:
        return None
    try:
        return import_module("onnx2torch.utils.common").get_const_value(
            node.input_values[place], graph
        )
    except KeyError:
        raise NotImplementedError(f"{node.operation_type} with computed settings") from None


def _numbers(node: Any, graph: Any, place: int) -> list[float] | None:
    """What an input is, None where there is none or it is computed."""
    try:
        value = constant(node, graph, place)
    except NotImplementedError:
        return None
    return None if value is None else [float(each) for each in np.asarray(value).reshape(-1)]
