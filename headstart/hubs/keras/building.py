"""A network of torch that computes what a Keras graph says, without its head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, final

import torch
from torch import Tensor, nn

from headstart.errors import HeadstartError, reason
from headstart.hubs.keras import applications
from headstart.hubs.keras.functions import FUNCTIONS
from headstart.hubs.keras.graph import CODE, Call, Graph, KerasLayer, Value, plain
from headstart.hubs.keras.modules import GlobalPool2d
from headstart.hubs.keras.variables import Variable
from headstart.hubs.keras.weighted import WEIGHTED
from headstart.hubs.keras.weightless import (
    LINEAR,
    SOFTMAX,
    WEIGHTLESS,
    activation,
    activation_name,
    weightless,
)
from headstart.loading.layer_graph import LayerGraph, TooWideError

_TAIL: Final = ("Activation", "Dropout", "Flatten", "Reshape", "Softmax")
_ENDINGS: Final = (*LINEAR, *SOFTMAX, "sigmoid", "hard_sigmoid", "tanh")
_MOST: Final = 1 << 28  # numbers that a layer answers for two pictures


@final
@dataclass
class Built:
    """A network with what fills it."""

    network: nn.Module
    layers: Mapping[str, tuple[str, Sequence[Variable]]]  # by Keras' name: torch's, variables
    feature_dim: int
    head: KerasLayer | None  # a dense layer, or a convolution of one position
    classifies: bool  # whether the head's answers are logits of one class among several


@final
@dataclass
class _Site:
    """A network while it is built."""

    graph: LayerGraph
    what: str
    layers: dict[str, tuple[str, Sequence[Variable]]] = field(default_factory=dict)
    sizes: dict[str, list[torch.Size]] = field(default_factory=dict)  # read at the first use

    def add(self, name: str, module: nn.Module, inputs: Sequence[int]) -> int:
        """Call a module on earlier answers; the number of its own."""
        return self.graph.add(self.graph.free_name(plain(name) or "layer"), module, inputs)[0]


def build(
    graph: Graph,
    example: Tensor,
    what: str,
    behead: bool,
    front: nn.Module,
) -> Built:
    """Make the modules one after another, each for what it reads when `example` runs through.

    `front` comes before all others. Their weights are not set. `what` names the network in
    messages. Raises HeadstartError for layers that are not known, and where the example's size or
    channels don't suit.
    """
    head = _head(graph) if behead else None
    last = _first(head) if head is not None else graph.answer
    if head is None and behead:
        _refuse_softmax(graph, what)
    site = _Site(LayerGraph(example, _MOST), what)
    places = {0: 0}
    if not isinstance(front, nn.Identity):
        places[0] = site.add("front", front, [0])
    for number in _needed(graph, last):
        call = graph.calls[number - 1]
        inputs = [places[value] if isinstance(value, int) else value for value in call.inputs]
        places[number] = _add(site, call, inputs)
    width = _finish(site, places[last])
    return Built(
        network=site.graph.network(),
        layers=site.layers,
        feature_dim=width,
        head=None if head is None else head.layer,
        classifies=_classifies(graph, head),
    )


def randomise(built: Built) -> None:
    """Draw all weights as Keras would, from torch's global random state."""
    state = built.network.state_dict()
    with torch.no_grad():
        for name, layer_variables in built.layers.values():
            for variable in layer_variables:
                state[f"{name}.{variable.target}"].copy_(variable.initial_values())


def _add(site: _Site, call: Call, inputs: Sequence[Value]) -> int:
    """Add one call of a layer, with the activation it ends with."""
    layer = call.layer
    values = [site.graph.values[value] if isinstance(value, int) else value for value in inputs]
    numbers = [value for value in inputs if isinstance(value, int)]
    try:
        if layer.name in site.layers:
            sizes = [tensor.shape for tensor in values if isinstance(tensor, Tensor)]
            if sizes != site.sizes[layer.name] and layer.config.get("padding") == "same":
                raise HeadstartError("it is used at several sizes")
            (place,) = site.graph.use(site.layers[layer.name][0], numbers)
        else:
            place = _add_new(site, layer, values, numbers)
        ending = activation_name(layer.config)
        if layer.kind in WEIGHTED and ending not in LINEAR:
            module = activation(ending, site.graph.values[place])
            place = site.add(f"{layer.name}_{ending}", module, [place])
    except TooWideError as error:
        fault = f"it answers {error.count:,} numbers an item"
        raise _unfit(site, layer, values, fault) from error
    except Exception as error:  # a layer may refuse what it reads in any way
        raise _unfit(site, layer, values, reason(error)) from error
    return place


def _add_new(site: _Site, layer: KerasLayer, values: Sequence[Any], numbers: Sequence[int]) -> int:
    if layer.config.get("data_format") == "channels_first":
        raise HeadstartError("it wants channels first")
    if layer.kind == CODE:
        return site.add(layer.name, applications.open_code(layer), numbers)
    if layer.kind not in WEIGHTED:
        unknown = layer.kind not in {*WEIGHTLESS, *FUNCTIONS}
        if unknown and len(values) == 1 and applications.does_nothing(layer, values[0]):
            return site.add(layer.name, nn.Identity(), numbers)
        return site.add(layer.name, weightless(layer.kind, layer.config, values), numbers)
    translated = WEIGHTED[layer.kind](layer.config, values)
    name = site.graph.free_name(plain(layer.name) or "layer")
    (place,) = site.graph.add(name, translated.module, numbers)
    site.layers[layer.name] = (name, translated.variables)
    site.sizes[layer.name] = [tensor.shape for tensor in values]
    return place


def _unfit(site: _Site, layer: KerasLayer, values: Sequence[Any], fault: str) -> HeadstartError:
    if layer.kind not in {*WEIGHTED, *WEIGHTLESS, *FUNCTIONS, CODE}:
        return HeadstartError(
            f"{site.what} holds the layer {layer.name} of the kind {layer.kind}, which Headstart "
            "doesn't know. Give a network without it."
        )
    shapes = ", ".join(
        "x".join(map(str, tensor.shape[1:])) for tensor in values if isinstance(tensor, Tensor)
    )
    return HeadstartError(
        f"{site.what} can't be built with its layer {layer.name} of the kind {layer.kind}, which "
        f"reads {shapes or 'nothing'} here ({fault}). Give the size= and channels= that it "
        "wants, or another network."
    )


def _needed(graph: Graph, last: int) -> list[int]:
    """The calls that the answer needs, in order."""
    needed = {last}
    for number in range(len(graph.calls), 0, -1):
        if number in needed:
            needed.update(v for v in graph.calls[number - 1].inputs if isinstance(v, int))
    return sorted(needed - {0})


def _finish(site: _Site, place: int) -> int:
    """Let the network end with rows; how wide they are."""
    values = site.graph.values[place]
    if place != len(site.graph.values) - 1:
        place = site.add("end", nn.Identity(), [place])
    if values.dim() == 4:
        place = site.add("pool", GlobalPool2d(greatest=False, keep=False), [place])
    rows = site.graph.values[place]
    if rows.dim() != 2 or len(rows) != len(site.graph.values[0]):
        raise HeadstartError(
            f"{site.what} answers with {list(values.shape[1:])} an item, not one row. "
            "Let it answer logits, pooled features or maps."
        )
    return rows.shape[1]


def _head(graph: Graph) -> Call | None:
    """The linear layer whose answers, or their softmax, are the network's."""
    inputs = [value for call in graph.calls for value in call.inputs]
    number = graph.answer
    while number:
        call = graph.calls[number - 1]
        ending = activation_name(call.layer.config)
        alone = inputs.count(number) == (number != graph.answer)
        if not alone or ending not in _ENDINGS:
            return None
        if call.layer.kind not in _TAIL:
            return call if _is_linear(call.layer) else None
        number = _first(call)
    return None


def _first(call: Call) -> int:
    """The number of the call whose answer is read first; 0 where that is constant."""
    value = call.inputs[0]
    return value if isinstance(value, int) else 0


def _is_linear(layer: KerasLayer) -> bool:
    """Whether it is a dense layer, or a convolution of one position each."""
    size = layer.config.get("kernel_size")
    return layer.kind == "Dense" or (layer.kind == "Conv2D" and size in ([1, 1], (1, 1), 1))


def _classifies(graph: Graph, head: Call | None) -> bool:
    """Whether what comes after the head is a softmax or nothing, over at least two classes."""
    if head is None:
        return False
    after = [call.layer for call in graph.calls[graph.calls.index(head) :]]
    endings = {activation_name(layer.config) for layer in after}
    width = head.layer.config.get("units") or head.layer.config.get("filters")
    return endings <= {*LINEAR, *SOFTMAX} and int(width or 0) > 1


def _refuse_softmax(graph: Graph, what: str) -> None:
    layer = graph.calls[graph.answer - 1].layer if graph.answer else graph.whole
    if layer.kind == "Softmax" or activation_name(layer.config) in SOFTMAX:
        raise HeadstartError(
            f"{what} ends in a softmax, but not of a linear layer, so that its head can't be "
            "taken off. Let it answer features, or say head=false."
        )
