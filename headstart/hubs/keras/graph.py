"""A Keras network's own description, as a list of calls: read, never run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, final

import torch
from torch import Tensor

from headstart.errors import HeadstartError

NETWORKS: Final = ("Functional", "Model", "Sequential")
INPUT: Final = "InputLayer"
CODE: Final = "Lambda"
_OPERATIONS: Final = {  # what TensorFlow's Keras calls plain functions, by Keras 3's names
    "__operators__.add": "Add",
    "math.add": "Add",
    "nn.bias_add": "Add",
    "__operators__.mul": "Multiply",
    "math.multiply": "Multiply",
    "__operators__.sub": "Subtract",
    "math.subtract": "Subtract",
    "__operators__.truediv": "TrueDivide",
    "math.divide": "TrueDivide",
    "math.truediv": "TrueDivide",
    "__operators__.getitem": "GetItem",
    "cast": "Cast",
    "concat": "Concatenate",
    "expand_dims": "ExpandDims",
    "image.resize": "Resize",
    "math.negative": "Negative",
    "math.pow": "Power",
    "math.reduce_mean": "Mean",
    "math.sqrt": "Sqrt",
    "math.square": "Square",
    "nn.relu": "ReLU",
    "reshape": "Reshape",
    "reverse": "Flip",
    "squeeze": "Squeeze",
    "stack": "Stack",
}
_FUNCTIONS: Final = ("TFOpLambda", "SlicingOpLambda")
_OPERANDS: Final = ("y", "bias")  # by which TensorFlow's functions call their second one
_CONSTANT: Final = "_CONSTANT_VALUE"


@final
@dataclass(frozen=True)
class Constant:
    """Numbers in the file, that an operation reads; their axes are as Keras has them."""

    values: Tensor


Value = int | float | Constant  # the number of an earlier call, or what is constant
_Place = tuple[str, int]  # a layer by name, and which of its calls
_Operand = _Place | float | Constant


@final
@dataclass(frozen=True)
class KerasLayer:
    """One layer: its kind and settings, and what it holds where it is a network itself."""

    name: str  # unique, with those of the networks around it and slashes between
    kind: str
    config: Mapping[str, Any]
    inside: tuple[KerasLayer, ...] = ()

    def walk(self) -> Iterator[KerasLayer]:
        """The layers that compute, in the order of the file."""
        if self.kind not in NETWORKS:
            yield self
        for layer in self.inside:
            yield from layer.walk()


@final
@dataclass(frozen=True)
class Call:
    """One use of a layer on the answers of earlier calls, by their numbers; 0 is the input."""

    layer: KerasLayer
    inputs: tuple[Value, ...]


@final
@dataclass
class Graph:
    """The calls of a network in an order in which each follows what it reads."""

    whole: KerasLayer
    shape: tuple[int | None, ...] = ()  # of the input, without the batch
    calls: list[Call] = field(default_factory=list)
    answer: int = 0  # the number of the call that the network answers with


def read_graph(model: Any, what: str) -> Graph:
    """The graph of a `Sequential` or functional model, from its description in JSON.

    `what` names the file in messages. Raises HeadstartError where the description is damaged, or of
    a network with several inputs or outputs, or with a class of its own.
    """
    try:
        graph = Graph(_layer(model, "", what))
        graph.answer = _enter(graph, graph.whole, model["config"], 0)
    except (KeyError, TypeError, IndexError, AttributeError, ValueError, RecursionError) as error:
        raise HeadstartError(
            f"{what} describes its network in a way that can't be read "
            f"({type(error).__name__}: {str(error)[:80]}). Save it again with Keras 3."
        ) from error
    return graph


def _layer(entry: Mapping[str, Any], prefix: str, what: str, name: str = "") -> KerasLayer:
    kind, config = str(entry["class_name"]), entry["config"]
    if kind not in NETWORKS and name == "" and not prefix:
        raise HeadstartError(
            f"{what} is a model of the class {kind}, whose code it doesn't hold. "
            "Save it as a functional or sequential model."
        )
    if kind in _FUNCTIONS:
        kind = _OPERATIONS.get(str(config.get("function")), f"{kind} {config.get('function')}")
    own = f"{prefix}{name}"
    if kind not in NETWORKS:
        return KerasLayer(own, kind, dict(config))
    inside = [
        _layer(inner, f"{own}/" if own else "", what, str(_name(inner, number)))
        for number, inner in enumerate(_entries(config))
    ]
    return KerasLayer(own, kind, {}, tuple(inside))


def _entries(config: Any) -> Sequence[Mapping[str, Any]]:
    entries: Sequence[Mapping[str, Any]] = config["layers"] if isinstance(config, dict) else config
    return entries


def _name(entry: Mapping[str, Any], number: int) -> Any:
    inner = entry["config"]
    return entry.get("name") or (isinstance(inner, dict) and inner.get("name")) or f"layer{number}"


def _enter(graph: Graph, network: KerasLayer, config: Any, value: int) -> int:
    """Add the calls inside a network that reads the call `value`; the number of its answer."""
    if network.kind == "Sequential":
        for layer, entry in zip(network.inside, _entries(config), strict=True):
            value = _call(graph, layer, entry["config"], (value,))
        return value
    entries = {str(_name(e, n)): e for n, e in enumerate(_entries(config))}
    layers = dict(zip(entries, network.inside, strict=True))
    (source,), (answer,) = _ends(config["input_layers"]), _ends(config["output_layers"])
    answers: dict[_Place, int] = {(source[0], 0): value}
    _call(graph, layers[source[0]], entries[source[0]]["config"], (value,))
    waiting = [
        (name, place, node)
        for name, entry in entries.items()
        for place, node in enumerate(entry["inbound_nodes"])
    ]
    while waiting:
        later = []
        for name, place, node in waiting:
            operands, settings = _read(node) if isinstance(node, dict) else _read_old(node)
            values = [answers.get(o) if isinstance(o, tuple) else o for o in operands]
            ready = [each for each in values if each is not None]
            if len(ready) < len(values):
                later.append((name, place, node))
            else:
                layer, inner = layers[name], entries[name]["config"]
                if settings and layer.kind not in NETWORKS:
                    layer = replace(layer, config={**layer.config, **settings})
                answers[name, place] = _call(graph, layer, inner, tuple(ready))
        if len(later) == len(waiting):
            raise ValueError(f"{later[0][0]} reads what is never computed")
        waiting = later
    return answers[str(answer[0]), int(answer[1])]


def _ends(ends: Any) -> list[Any]:
    """The ends of a network: one [name, node, tensor], or a list of them, of which one is taken."""
    listed = [ends] if isinstance(ends[0], str) else list(ends)
    if len(listed) != 1:
        raise ValueError(f"it has {len(listed)} inputs or outputs, where one is wanted")
    return listed


def _call(graph: Graph, layer: KerasLayer, config: Any, values: tuple[Value, ...]) -> int:
    if layer.kind == INPUT:
        shape = config.get("batch_shape") or config.get("batch_input_shape")
        graph.shape = graph.shape or _sides(shape)
        return _number(values[0])
    if layer.kind in NETWORKS:
        return _enter(graph, layer, config, _number(values[0]))
    if not graph.shape:  # a sequential model of old, whose first layer says it
        graph.shape = _sides(config.get("batch_input_shape") or [None] * 4)
    graph.calls.append(Call(layer, values))
    return len(graph.calls)


def _number(value: Value) -> int:
    """The number of a call. Raises ValueError for what is constant."""
    if not isinstance(value, int):
        raise ValueError("a network reads numbers, no tensor")
    return value


def _sides(shape: Any) -> tuple[int | None, ...]:
    """The shape of an item, None where any length will do."""
    return tuple(None if side is None else int(side) for side in shape[1:])


def _read(node: Any) -> tuple[list[_Operand], dict[str, Any]]:
    """Keras 3: what a call reads, and what it says beside; tensors go by their history."""
    first, *rest = node["args"]
    if rest and isinstance(rest[0], list) and not any(map(_is_tensor, rest[0])):
        return list(_operands([first])), {"key": rest[0]}
    return list(_operands([first, *rest, *node.get("kwargs", {}).values()])), {}


def _is_tensor(value: Any) -> bool:
    return isinstance(value, dict) and value.get("class_name") == "__keras_tensor__"


def _operands(arguments: Any) -> Iterator[_Operand]:
    for argument in arguments:
        if isinstance(argument, list | tuple):
            yield from _operands(argument)
        elif _is_tensor(argument):
            name, node, tensor = argument["config"]["keras_history"]
            if tensor:
                raise ValueError(f"{name} answers with several tensors")
            yield str(name), int(node)
        elif isinstance(argument, dict) and argument["class_name"] in ("__numpy__", "__tensor__"):
            yield _constant(argument["config"]["value"])
        elif isinstance(argument, int | float) and not isinstance(argument, bool):
            yield float(argument)
        elif argument is not None and not isinstance(argument, bool):
            raise ValueError(f"a layer reads {str(argument)[:40]}, which is no tensor")


def _constant(numbers: Any) -> float | Constant:
    values = torch.tensor(numbers, dtype=torch.float32)
    return Constant(values) if values.dim() else float(values)


def _read_old(node: Any) -> tuple[list[_Operand], dict[str, Any]]:
    """Keras 1 and 2: [name, node, tensor, keywords]; a second operand is among the keywords."""
    values: list[_Operand] = []
    settings: dict[str, Any] = {}
    for name, place, first, *keywords in [node] if isinstance(node[0], str) else node:
        values.append(_constant(first) if name == _CONSTANT else (str(name), int(place)))
        for key, value in (keywords[0] if keywords else {}).items():
            if key not in _OPERANDS:
                settings |= {key: value}
            elif isinstance(value, list) and isinstance(value[0], str):
                values.append((value[0], int(value[1])))
            elif value is not None:
                values.append(_constant(value))
    return values, settings


def plain(name: str) -> str:
    """A layer's name as one of a module: letters, digits and underscores."""
    return re.sub(r"\W", "_", name)


def snake(kind: str) -> str:
    """A class's name as Keras 3 writes it in files of weights: `Conv2D` is `conv2d`."""
    return re.sub("([a-z])([A-Z])", r"\1_\2", re.sub("(.)([A-Z][a-z]+)", r"\1_\2", kind)).lower()
