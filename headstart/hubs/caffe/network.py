"""Caffe's layers as one ordinary network of torch, which torch.fx can trace."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, final

import torch
from torch import nn

from headstart.errors import HeadstartError, reason
from headstart.hubs.caffe.building import (
    TYPES,
    Filler,
    Shape,
    UnsuitableError,
    make,
    window,
)
from headstart.hubs.caffe.graph import Blob, Node, Selection
from headstart.loading.layer_graph import BlueFirst, LayerGraph, TooWideError

_MOST: Final = 1 << 31  # parameters, 8 GiB; VGG-19 has 0.14 thousand million
_WIDEST: Final = 1 << 28  # numbers of one item between layers, 1 GiB; VGG-19 has 3 million


@final
@dataclass(frozen=True)
class Built:
    """A network whose tensors are yet to be made, and what its parameters begin with.

    `linear` says whether the head is linear in the features, as each inner product is, and a
    convolution that reads a map of one position.
    """

    network: nn.Module
    fillers: Mapping[str, Filler]
    feature_dim: int
    linear: bool


@final
class _Builder:
    """Adds one layer after another, and runs each on the shapes of its inputs."""

    def __init__(self, what: str, shape: Shape, names: Iterable[str]) -> None:
        self.what = what
        example = torch.empty(2, *shape, device="meta")
        self.graph = LayerGraph(example, 2 * _WIDEST, names)
        self.fillers: dict[str, Filler] = {}

    def shape(self, place: int) -> Shape:
        """That of one item's answer."""
        return tuple(self.graph.values[place].shape[1:])

    def added(self, name: str, module: nn.Module, place: int) -> int:
        """Add a module of ours; where its answer is found."""
        return self.graph.add(self.graph.free_name(name), module, [place])[0]

    def layer(self, node: Node, inputs: list[int]) -> list[int]:
        """Add a layer; where its answers are found. Raises HeadstartError where it can't be."""
        kind, layer = node.layer.type, node.layer
        if kind not in TYPES:
            raise HeadstartError(
                f"{self.what} has a layer {layer.name!r} of type {kind!r}, which is not "
                f"supported. Take it out, or give a network of {', '.join(TYPES)}."
            )
        try:
            if kind == "InnerProduct" and inputs and len(self.shape(inputs[0])) > 1:
                inputs = [self.added(f"{node.name}_flatten", nn.Flatten(), inputs[0])]
            with torch.device("meta"):
                translated = make(layer, [self.shape(place) for place in inputs])
            places = self.graph.add(node.name, translated.module, inputs)
            if len(places) != len(node.tops):
                raise UnsuitableError(f"it has {len(node.tops)} outputs instead of {len(places)}")
        except Exception as error:  # torch's modules refuse what can't be in many ways
            fault = reason(error)
            if isinstance(error, TooWideError):
                fault = f"it would compute {error.count} numbers an item"
            raise HeadstartError(
                f"{self.what} has a layer {layer.name!r} of type {kind!r} that can't be: {fault}. "
                "Mend it, or give pictures of another size= or channels=."
            ) from None
        for name, filler in translated.fillers.items():
            self.fillers[f"{node.name}.{name}"] = filler
        return places


def build(selection: Selection, shape: Shape, reverse: bool, what: str) -> Built:
    """The network for pictures of this shape, which are RGB, and of BGR where `reverse`.

    It takes no memory yet. Raises HeadstartError for a layer that is not supported or can't be.
    """
    if math.prod(shape) > _WIDEST:
        raise HeadstartError(
            f"{what} would be fed pictures of {'×'.join(map(str, shape))}, too many numbers an "
            "item. Give a smaller size=."
        )
    builder = _Builder(what, shape, (node.name for node in selection.nodes))
    place = 0
    if reverse:
        place = builder.added("rgb_to_bgr", BlueFirst(), 0)
    places: dict[Blob, int] = {selection.pictures: place}
    for node in selection.nodes:
        answers = builder.layer(node, [places[blob] for blob in node.bottoms])
        places |= dict(zip(node.tops, answers, strict=True))
    last = places[selection.features]
    linear = _linear(selection.head, builder.shape(last))
    if len(builder.shape(last)) == 3 and not linear:  # features at every position
        last = builder.added("features_mean", nn.AdaptiveAvgPool2d(1), last)
    if len(builder.shape(last)) > 1 or not builder.graph.modules:
        last = builder.added("features_flatten", nn.Flatten(), last)
    network = builder.graph.network(last)
    count = sum(parameter.numel() for parameter in network.parameters())
    if count > _MOST:
        raise HeadstartError(f"{what} would have {count} parameters. Give a smaller network.")
    return Built(network, builder.fillers, builder.shape(last)[0], linear)


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
