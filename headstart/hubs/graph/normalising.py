"""A cut graph brought into one form: pictures (N, C, H, W) in float32 in, (N, D, …) out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, final

import numpy as np
import torch

from headstart.errors import HeadstartError, reason
from headstart.hubs.graph.any_number import any_number
from headstart.hubs.graph.cutting import Cut
from headstart.hubs.graph.planning import FOLDER, GraphSpec
from headstart.loading import openvino_graph as graph
from headstart.loading import openvino_runtime
from headstart.loading.openvino_graph import Graph

SIZE: Final = 224  # of pictures for a graph that takes any
_WHOLE: Final = {"u8": 0.0, "i8": -128.0}  # types of whole numbers, and what black is in them
_REAL: Final = ("f32", "f16", "bf16", "f64", "dynamic")


@final
@dataclass(frozen=True)
class Normal:
    """A graph in the one form, and what it was fed with before."""

    graph: Graph
    sides: tuple[int, int, int]  # channels, height, width
    last: bool  # whether its channels came last
    whole: bool  # whether it took whole numbers


def normalise(spec: GraphSpec, cut: Cut) -> Normal:
    """The graph up to its features, for any number of pictures at a time where it can be.

    Raises HeadstartError where it isn't for pictures, or these features aren't one row each.
    """
    source = entry(spec, cut)
    sides, last = layout(spec, source)
    model = _model(spec, cut, source, sides, last)
    return Normal(_saved(any_number(spec, model)), sides, last, black(source) is not None)


def rows(spec: GraphSpec, cut: Cut, entry: Any, shape: Sequence[int]) -> Graph:
    """The graph up to its features, of rows of numbers that fill an input of this shape.

    A first length of 0 is for any number of items. Raises HeadstartError as `normalise` does.
    """
    openvino = graph.library()
    operations = openvino.opset13
    single = len(shape) == 1 or shape[0] == 1
    if not single and shape[0] > 1:
        raise HeadstartError(
            f"{spec.path} takes {shape[0]} sounds at a time. Export it for one, or for any number."
        )
    numbers = math.prod(shape if len(shape) == 1 else shape[1:])
    samples = operations.parameter([1 if single else -1, numbers], openvino.Type.f32, "samples")
    target = list(shape) if single else [0, *shape[1:]]
    value = operations.reshape(samples, np.array(target), not single)
    if entry.get_element_type() not in (openvino.Type.f32, openvino.Type.dynamic):
        value = operations.convert(value, entry.get_element_type())
    try:
        features = _real(cut.features)
        entry.output(0).replace(value.output(0))
        model = openvino.Model([features], [samples])
        _channels_first(spec, cut, model)
    except RuntimeError as error:
        raise HeadstartError(
            f"{spec.path} can't take {numbers} numbers a sound ({reason(error)}). Name another "
            "frontend= or window=."
        ) from error
    return _saved(any_number(spec, model))


def entry(spec: GraphSpec, cut: Cut) -> Any:
    """The one input that the features depend on. Raises HeadstartError for several, or texts."""
    inputs = _inputs(cut.features)
    if len(inputs) != 1:
        names = ", ".join(node.get_friendly_name() for node in inputs) or "none"
        raise HeadstartError(
            f"{spec.path} must take pictures and nothing else, but its inputs are: {names}. "
            "Export it with one input, or name an earlier tensor with output=NAME."
        )
    kind = inputs[0].get_element_type().get_type_name()
    if kind not in (*_WHOLE, *_REAL):
        raise HeadstartError(f"{spec.path} takes {kind}, not pictures. Give another graph.")
    return inputs[0]


def black(entry: Any) -> float | None:
    """What black is to an input of whole numbers, None for one of real numbers."""
    return _WHOLE.get(entry.get_element_type().get_type_name())


def _inputs(features: Any) -> list[Any]:
    """The parameters that a tensor depends on."""
    nodes: dict[str, Any] = {}
    waiting = [features.get_node()]
    while waiting:
        node = waiting.pop()
        if node.get_name() not in nodes:
            nodes[node.get_name()] = node
            waiting += [value.get_node() for value in node.input_values()]
    return [node for node in nodes.values() if node.get_type_name() == "Parameter"]


def layout(spec: GraphSpec, entry: Any) -> tuple[tuple[int, int, int], bool]:
    """Channels, height and width of the pictures, and whether channels come last."""
    shape = entry.get_partial_shape()
    if shape.rank.is_dynamic or len(shape) != 4:
        raise HeadstartError(f"{spec.path} takes {shape}, not pictures. Give another graph.")
    lengths = [side.get_length() if side.is_static else 0 for side in shape]
    first, final = lengths[1] in (1, 3), lengths[3] in (1, 3)
    last = final if first != final else spec.kind in (FOLDER, "tflite")
    channels = lengths[3 if last else 1] or spec.options.channels
    high, wide = lengths[1:3] if last else lengths[2:4]
    if channels not in (1, 3):
        raise HeadstartError(
            f"{spec.path} takes {channels} channels, where pictures have 1 or 3. "
            "Give another graph."
        )
    side = spec.size or 0
    return (channels, side or high or SIZE, side or wide or SIZE), last


def _model(spec: GraphSpec, cut: Cut, entry: Any, sides: tuple[int, int, int], last: bool) -> Any:
    """The graph with another input, and with its channels first at the end."""
    openvino = graph.library()
    operations = openvino.opset13
    batch = entry.get_partial_shape()[0]
    fixed = -1 if batch.is_dynamic else batch.get_length()
    if fixed > 1:
        raise HeadstartError(
            f"{spec.path} takes {fixed} pictures at a time, no more and no fewer. "
            "Export it for one, or for any number."
        )
    pictures = operations.parameter([fixed, *sides], openvino.Type.f32, "pictures")
    value = pictures
    kind = entry.get_element_type()
    least = black(entry)
    if least is not None:
        levels = operations.round(operations.multiply(value, np.float32(255)), "half_to_even")
        value = operations.clamp(operations.add(levels, np.float32(least)), least, least + 255)
    if kind.is_static and kind != openvino.Type.f32:
        value = operations.convert(value, kind)
    if last:
        value = operations.transpose(value, np.array([0, 2, 3, 1]))
    features = cut.features
    try:
        entry.output(0).replace(value.output(0))
        model = openvino.Model([_real(features)], [pictures])
        _channels_first(spec, cut, model)
    except RuntimeError as error:
        raise HeadstartError(
            f"{spec.path} can't take pictures of {'x'.join(map(str, sides))} "
            f"({reason(error)}). Give the size= that it wants."
        ) from error
    return model


def _real(features: Any) -> Any:
    """The features as real numbers: whole ones stand for such, of which the graph knows which."""
    operations = graph.library().opset13
    if features.get_element_type().get_type_name() in _WHOLE:
        node = features.get_node()
        while node.get_type_name() in ("Transpose", "Reshape", "Convert"):
            before = node.input_value(0).get_node()
            if node.get_type_name() == "Convert" and before.get_type_name() == "FakeQuantize":
                value, low, high = (before.input_value(number) for number in range(3))
                levels = before.get_attributes()["levels"]
                real = operations.fake_quantize(value, low, high, low, high, levels)
                node.output(0).replace(real.output(0))
                return real.output(0) if node == features.get_node() else features
            node = before
    return operations.convert(features, "f32").output(0)


def _channels_first(spec: GraphSpec, cut: Cut, model: Any) -> None:
    """Put the channels of the features, which are one row of them an item, behind the batch."""
    model.validate_nodes_and_infer_types()
    result = model.get_results()[0]
    shape = result.input_value(0).get_partial_shape()
    rank = len(shape) if shape.rank.is_static else 0
    axis = axis_of(shape, spec.kind) if cut.axis is None and rank else cut.axis
    if rank not in (2, 3, 4) or axis is None or shape[axis].is_dynamic:
        raise HeadstartError(
            f"{spec.path} has {shape} under {cut.name or 'its last layer'}, which are no features "
            "of items. Name another tensor with output=NAME."
        )
    if axis != 1:
        order = [0, axis, *(other for other in range(1, rank) if other != axis)]
        turned = graph.library().opset13.transpose(result.input_value(0), np.array(order))
        result.input(0).replace_source_output(turned.output(0))
    model.validate_nodes_and_infer_types()


def axis_of(shape: Any, kind: str) -> int:
    """The axis of channels: positions lie in a square, or where the format has them."""
    if len(shape) != 4:
        return len(shape) - 1
    high, middle, wide = list(shape)[1:]
    if (high == middle) == (middle == wide):
        return 3 if kind in (FOLDER, "tflite") else 1
    return 3 if high == middle else 1


def _saved(model: Any) -> Graph:
    """The network as text and constants, each operation called by its number."""
    model.set_friendly_name("graph")
    for number, node in enumerate(model.get_ordered_ops()):
        node.set_friendly_name(f"{node.get_type_name()}_{number}")
        for value in node.outputs():
            value.get_tensor().set_names(set())
    with TemporaryDirectory() as folder:
        place = Path(folder) / "graph.xml"
        openvino_runtime.save(model, place)
        content = bytearray(place.with_suffix(".bin").read_bytes())
        constants = torch.frombuffer(content, dtype=torch.uint8) if content else torch.empty(0)
        return Graph(place.read_text(encoding="utf-8"), constants.to(torch.uint8))
