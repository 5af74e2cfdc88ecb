"""A network of torch that computes what a Keras graph says, without its head."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, final

import torch
from torch import Tensor, nn
from torch.func import functional_call

from headstart.errors import HeadstartError
from headstart.hubs.keras.functions import FUNCTIONS
from headstart.hubs.keras.graph import CODE, Call, Graph, KerasLayer, Value, plain
from headstart.hubs.keras.modules import GlobalPool2d
from headstart.hubs.keras.variables import Made, Variable
from headstart.hubs.keras.weighted import WEIGHTED
from headstart.hubs.keras.weightless import (
    LINEAR,
    SOFTMAX,
    WEIGHTLESS,
    activation,
    activation_name,
    made,
)

OpenCode = Callable[[KerasLayer, Sequence[Tensor]], nn.Module]
Question = Callable[[KerasLayer, Tensor], bool]
_TAIL: Final = ("Activation", "Dropout", "Flatten", "Reshape", "Softmax")
_ENDINGS: Final = (*LINEAR, *SOFTMAX, "sigmoid", "hard_sigmoid", "tanh")
_MOST: Final = 1 << 28  # numbers that a layer answers for two pictures
_RESERVED: Final = frozenset(dir(nn.Module()))


@final
class Network(nn.Module):
    """Modules called one after another, each on answers of earlier ones; 0 is the pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.uses: list[tuple[str, tuple[int, ...]]] = []

    def forward(self, pictures: Tensor) -> Tensor:
        """Pictures (N, C, H, W) to rows (N, D)."""
        values = [pictures]
        for name, inputs in self.uses:
            given = [values[number] for number in inputs]
            values.append(self._modules[name](*given))  # type: ignore[misc]  # each was added
        return values[-1]


@final
@dataclass
class Built:
    """A network with what fills it."""

    network: Network
    layers: Mapping[str, tuple[str, Sequence[Variable]]]  # by Keras' name: torch's, variables
    feature_dim: int
    head: KerasLayer | None  # a dense layer, or a convolution of one position
    classifies: bool  # whether the head's answers are logits of one class among several


@final
@dataclass
class _Site:
    """A network while it is built: modules so far, and their answers to an example."""

    network: Network
    what: str
    open_code: OpenCode
    does_nothing: Question
    values: list[Tensor]
    layers: dict[str, tuple[str, Sequence[Variable]]] = field(default_factory=dict)
    sizes: dict[str, list[torch.Size]] = field(default_factory=dict)  # read at the first use

    def add(self, name: str, module: nn.Module, inputs: Sequence[int]) -> int:
        """Call a module on earlier answers; the number of its own."""
        name = self.free(name)
        self.network.add_module(name, module.eval())
        return self.use(name, inputs)

    def use(self, name: str, inputs: Sequence[int]) -> int:
        """Call a module that is there already."""
        module = self.network.get_submodule(name)
        given = [self.values[number] for number in inputs]
        _check_size(module, given)
        self.values.append(module(*given))
        self.network.uses.append((name, tuple(inputs)))
        return len(self.values) - 1

    def free(self, name: str) -> str:
        """The name, or one like it, where it is taken."""
        found = plain(name) or "layer"
        while found in _RESERVED or found in self.network._modules or found == "uses":
            found += "_"
        return found


def build(
    graph: Graph,
    example: Tensor,
    what: str,
    keras: tuple[OpenCode, Question],
    behead: bool,
    front: nn.Module,
) -> Built:
    """Make the modules one after another, each for what it reads when `example` runs through.

    `keras` runs the code of a layer, and says whether one that is not known does nothing unless it
    is trained. `front` comes before all others. Their weights are not set. `what` names the network
    in messages. Raises HeadstartError for layers that are not known, and where the example's size
    or channels don't suit.
    """
    head = _head(graph) if behead else None
    last = _first(head) if head is not None else graph.answer
    if head is None and behead:
        _refuse_softmax(graph, what)
    site = _Site(Network(), what, *keras, [example])
    places = {0: 0}
    if not isinstance(front, nn.Identity):
        places[0] = site.add("front", front, [0])
    with torch.no_grad():
        for number in _needed(graph, last):
            call = graph.calls[number - 1]
            places[number] = _add(site, call, [_moved(v, places) for v in call.inputs])
        width = _finish(site, places[last], pools=head is None)
    return Built(
        network=site.network,
        layers=site.layers,
        feature_dim=width,
        head=None if head is None else head.layer,
        classifies=_classifies(graph, head),
    )


def randomise(built: Built) -> None:
    """Draw all weights as Keras would, from torch's global random state."""
    state = built.network.state_dict()
    with torch.no_grad():
        for name, found in built.layers.values():
            for variable in found:
                state[f"{name}.{variable.target}"].copy_(variable.drawn())


def _moved(value: Value, places: Mapping[int, int]) -> Value:
    return places[value] if isinstance(value, int) else value


def _add(site: _Site, call: Call, inputs: Sequence[Value]) -> int:
    """Add one call of a layer, with the activation it ends with."""
    layer = call.layer
    read = [site.values[value] if isinstance(value, int) else value for value in inputs]
    numbers = [value for value in inputs if isinstance(value, int)]
    try:
        if layer.name in site.layers:
            sizes = [tensor.shape for tensor in read if isinstance(tensor, Tensor)]
            if sizes != site.sizes[layer.name] and layer.config.get("padding") == "same":
                raise HeadstartError("it is used at several sizes")
            place = site.use(site.layers[layer.name][0], numbers)
        else:
            place = _add_new(site, layer, read, numbers)
        ending = activation_name(layer.config)
        if layer.kind in WEIGHTED and ending not in LINEAR:
            module = activation(ending, site.values[place])
            place = site.add(f"{layer.name}_{ending}", module, [place])
    except Exception as error:  # a layer may refuse what it reads in any way
        raise _unfit(site, layer, read, error) from error
    return place


def _check_size(module: nn.Module, given: Sequence[Tensor]) -> None:
    """Raise HeadstartError where a layer would answer far more numbers than pictures give."""
    held = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    shapes = {name: tensor.to("meta") for name, tensor in held.items()}
    try:
        made = functional_call(module, shapes, tuple(tensor.to("meta") for tensor in given))
    except Exception:  # code of others may need numbers, and what is wrong shows when they are run
        return
    if made.numel() > _MOST:
        raise HeadstartError(f"it answers {made.numel() // len(made):,} numbers an item")


def _add_new(site: _Site, layer: KerasLayer, read: Sequence[Any], numbers: Sequence[int]) -> int:
    if layer.kind == CODE:
        return site.add(layer.name, site.open_code(layer, read), numbers)
    if layer.kind not in WEIGHTED:
        known = layer.kind in WEIGHTLESS or layer.kind in FUNCTIONS
        if not known and len(read) == 1 and site.does_nothing(layer, read[0]):
            return site.add(layer.name, nn.Identity(), numbers)
        return site.add(layer.name, made(layer.kind, layer.config, read).module, numbers)
    found: Made = WEIGHTED[layer.kind](layer.config, read)
    place = site.add(layer.name, found.module, numbers)
    site.layers[layer.name] = (site.network.uses[-1][0], found.variables)
    site.sizes[layer.name] = [tensor.shape for tensor in read]
    return place


def _unfit(site: _Site, layer: KerasLayer, read: Sequence[Any], error: Exception) -> HeadstartError:
    if layer.kind not in {*WEIGHTED, *WEIGHTLESS, *FUNCTIONS, CODE}:
        return HeadstartError(
            f"{site.what} holds the layer {layer.name} of the kind {layer.kind}, which Headstart "
            "doesn't know. Give a network without it."
        )
    reason = str(error).strip().partition("\n")[0].rstrip(".")[:160]
    shapes = ", ".join(
        "x".join(map(str, tensor.shape[1:])) for tensor in read if isinstance(tensor, Tensor)
    )
    return HeadstartError(
        f"{site.what} can't be built with its layer {layer.name} of the kind {layer.kind}, which "
        f"reads {shapes or 'nothing'} here ({reason}). Give the size= and channels= that it "
        "wants, or another network."
    )


def _needed(graph: Graph, last: int) -> list[int]:
    """The calls that the answer needs, in order."""
    wanted = {last}
    for number in range(len(graph.calls), 0, -1):
        if number in wanted:
            wanted.update(v for v in graph.calls[number - 1].inputs if isinstance(v, int))
    return sorted(wanted - {0})


def _finish(site: _Site, place: int, pools: bool) -> int:
    """Let the network end with rows; how wide they are."""
    values = site.values[place]
    if place != len(site.values) - 1:
        place = site.add("end", nn.Identity(), [place])
    if values.dim() == 4:
        place = site.add("pool", GlobalPool2d(greatest=False, keep=False), [place])
    if site.values[place].dim() != 2 or len(site.values[place]) != len(site.values[0]):
        raise HeadstartError(
            f"{site.what} answers with {list(values.shape[1:])} an item, not one row. "
            "Let it answer logits, pooled features or maps."
        )
    return site.values[place].shape[1]


def _head(graph: Graph) -> Call | None:
    """The linear layer whose answers, or their softmax, are the network's."""
    readers: dict[int, int] = {}
    for call in graph.calls:
        for value in call.inputs:
            if isinstance(value, int):
                readers[value] = readers.get(value, 0) + 1
    number = graph.answer
    while number:
        call = graph.calls[number - 1]
        ending = activation_name(call.layer.config)
        alone = readers.get(number, 0) == (number != graph.answer)
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
