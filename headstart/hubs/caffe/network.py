"""Caffe's layers as one ordinary network of torch, which torch.fx can trace."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

import torch
from torch import Tensor, nn

from headstart.errors import HeadstartError
from headstart.hubs.caffe.building import (
    TYPES,
    Filler,
    Made,
    Shape,
    UnsuitableError,
    make,
    window,
)
from headstart.hubs.caffe.graph import Blob, Node, Selection, free_name
from headstart.hubs.caffe.layers import ReversedChannels

_MOST: Final = 1 << 31  # parameters, 8 GiB; VGG-19 has 0.14 thousand million
_WIDEST: Final = 1 << 28  # numbers of one item between layers, 1 GiB; VGG-19 has 3 million


@final
@dataclass(frozen=True)
class Step:
    """One module, and the places of its inputs and outputs among the network's values."""

    name: str
    inputs: Sequence[int]
    outputs: Sequence[int]


@final
class Network(nn.Module):
    """Modules under their layers' names, run one after another."""

    def __init__(self, modules: Mapping[str, nn.Module], steps: Sequence[Step]) -> None:
        super().__init__()
        for name, module in modules.items():
            self.add_module(name, module)
        self.headstart_steps = tuple(steps)  # no layer has this name, since it is taken

    def forward(self, pictures: Tensor) -> Tensor:
        """Maps (N, C, H, W) to features (N, D)."""
        values: dict[int, Any] = {0: pictures}
        last = 0
        for step in self.headstart_steps:
            result = self.get_submodule(step.name)(*[values[place] for place in step.inputs])
            several = len(step.outputs) > 1
            for number, last in enumerate(step.outputs):
                values[last] = result[number] if several else result
        features: Tensor = values[last]
        return features


@final
@dataclass(frozen=True)
class Built:
    """A network whose tensors are yet to be made, and what its parameters begin with.

    `linear` says whether the head is linear in the features, as each inner product is, and a
    convolution that reads a map of one position.
    """

    network: Network
    fillers: Mapping[str, Filler]
    feature_dim: int
    linear: bool


@final
class _Builder:
    """Adds one module after another, and runs each on the shapes of its inputs."""

    def __init__(self, what: str, shape: Shape, taken: set[str]) -> None:
        self.what = what
        self.taken = taken
        self.modules: dict[str, nn.Module] = {}
        self.fillers: dict[str, Filler] = {}
        self.steps: list[Step] = []
        self.shapes: list[Shape] = [shape]

    def add(self, name: str, made: Made, inputs: Sequence[int], outputs: int = 1) -> list[int]:
        """Where the outputs are found. Raises whatever a module raises that can't be run."""
        given = [torch.empty(2, *self.shapes[place], device="meta") for place in inputs]
        with torch.no_grad():
            found = made.module.eval()(*given)
        results = [found] if isinstance(found, Tensor) else list(found)
        if len(results) != outputs:
            raise UnsuitableError(f"it has {outputs} outputs instead of {len(results)}")
        if max(result.numel() for result in results) > 2 * _WIDEST:
            raise UnsuitableError(f"it would compute {results[0].numel() // 2} numbers an item")
        places = [len(self.shapes) + number for number in range(outputs)]
        self.shapes += [tuple(result.shape[1:]) for result in results]
        self.modules[name] = made.module
        self.steps.append(Step(name, inputs, places))
        self.fillers |= {f"{name}.{part}": filler for part, filler in made.fillers.items()}
        return places

    def added(self, name: str, module: nn.Module, place: int) -> int:
        """The same for a module of ours with one input and one output."""
        return self.add(free_name(name, self.taken), Made(module), [place])[0]

    def layer(self, node: Node, inputs: list[int]) -> list[int]:
        """The same for a layer. Raises HeadstartError where it can't be."""
        kind, layer = node.layer.type, node.layer
        if kind not in TYPES:
            raise HeadstartError(
                f"{self.what} has a layer {layer.name!r} of type {kind!r}, which is not "
                f"supported. Take it out, or give a network of {', '.join(TYPES)}."
            )
        try:
            if kind == "InnerProduct" and inputs and len(self.shapes[inputs[0]]) > 1:
                inputs = [self.added(f"{node.name}_flatten", nn.Flatten(), inputs[0])]
            with torch.device("meta"):
                made = make(layer, [self.shapes[place] for place in inputs])
            return self.add(node.name, made, inputs, len(node.tops))
        except Exception as error:  # torch's modules refuse what can't be in many ways
            reason = str(error).strip().partition("\n")[0].rstrip(".")[:200]
            raise HeadstartError(
                f"{self.what} has a layer {layer.name!r} of type {kind!r} that can't be: {reason}. "
                "Mend it, or give pictures of another size= or channels=."
            ) from None


def build(selection: Selection, shape: Shape, reverse: bool, what: str) -> Built:
    """The network for pictures of this shape, which are RGB, and of BGR where `reverse`.

    It takes no memory yet. Raises HeadstartError for a layer that is not supported or can't be.
    """
    if math.prod(shape) > _WIDEST:
        raise HeadstartError(
            f"{what} would be fed pictures of {'×'.join(map(str, shape))}, too many numbers an "
            "item. Give a smaller size=."
        )
    builder = _Builder(what, shape, {node.name for node in selection.nodes} | {"headstart_steps"})
    place = 0
    if reverse:
        place = builder.added("rgb_to_bgr", ReversedChannels(), 0)
    places: dict[Blob, int] = {selection.pictures: place}
    for node in selection.nodes:
        found = builder.layer(node, [places[blob] for blob in node.bottoms])
        places |= dict(zip(node.tops, found, strict=True))
    last = places[selection.features]
    linear = _linear(selection.head, builder.shapes[last])
    if len(builder.shapes[last]) == 3 and not linear:  # features at every position
        last = builder.added("features_mean", nn.AdaptiveAvgPool2d(1), last)
    if len(builder.shapes[last]) > 1 or not builder.steps:
        last = builder.added("features_flatten", nn.Flatten(), last)
    network = Network(builder.modules, builder.steps)
    count = sum(parameter.numel() for parameter in network.parameters())
    if count > _MOST:
        raise HeadstartError(f"{what} would have {count} parameters. Give a smaller network.")
    return Built(network, builder.fillers, builder.shapes[last][0], linear)


def _linear(head: Node | None, shape: Shape) -> bool:
    if head is None or head.layer.type == "InnerProduct":
        return head is not None
    settings = head.layer.convolution_param
    pads = [*settings.pad, settings.pad_h, settings.pad_w]
    try:
        whole = window(settings) == tuple(shape[1:])
    except UnsuitableError:
        return False
    return whole and settings.group == 1 and not any(pads)
