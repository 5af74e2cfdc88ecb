"""Caffe's layers as one ordinary network of torch, which torch.fx can trace, and what fills it.

That is random numbers as its description says, or weights.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

import torch
from torch import Tensor, nn

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
from headstart.hubs.caffe.reading import tensor
from headstart.loading.layer_graph import BlueFirst, LayerGraph, TooWideError
from headstart.loading.weights import State, apart, linear, load_into

_FAN_OUT, _AVERAGE = 1, 2  # how much a filler's spread is of what comes in, or else of these
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


def draw(built: Built) -> None:
    """Fill with random numbers, following torch's global random state.

    By the description's fillers (constant, uniform, gaussian, xavier by Glorot and Bengio 2010,
    msra by He et al. 2015); where it has none, weights by msra and no biases.
    """
    network = built.network.to_empty(device="cpu")
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.reset_running_stats()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            filler, usual = built.fillers[name]
            if filler is not None:
                _fill(parameter, filler)
            elif usual is not None:
                parameter.fill_(usual)
            else:
                parameter.normal_(0, math.sqrt(2 / _fan(parameter, 0)))


def _fill(parameter: Tensor, filler: Any) -> None:
    fan = _fan(parameter, filler.variance_norm)
    kind = filler.type or "constant"
    if kind == "uniform":
        parameter.uniform_(filler.min, filler.max)
    elif kind == "gaussian":
        parameter.normal_(filler.mean, filler.std)
    elif kind == "msra":
        parameter.normal_(0, math.sqrt(2 / fan))
    elif kind == "constant":
        parameter.fill_(filler.value)
    else:  # xavier; bilinear and the like stand for weights that are not trained
        limit = math.sqrt(3 / fan)
        parameter.uniform_(-limit, limit)


def _fan(parameter: Tensor, norm: int) -> float:
    """How many numbers a filler's spread is shared among."""
    into = parameter[:1].numel()
    out = parameter.numel() // (parameter.shape[1] if parameter.dim() > 1 else 1)
    return {_FAN_OUT: out, _AVERAGE: (into + out) / 2}.get(norm, into)


def load(built: Built, state: Mapping[str, Tensor], head: str, what: str) -> nn.Linear | None:
    """Fill with weights, and answer the head among them where it is linear in the features.

    `head` is what the head is called. Raises WeightsError for weights that don't fit.
    """
    body, parts = apart(state, head)
    load_into(built.network.to_empty(device="cpu"), body, what)
    weight = parts.get("weight")
    if weight is None or (weight.dim() != 2 and not built.linear):
        return None
    return linear(parts | {"weight": weight.flatten(1)}, built.feature_dim, what)


def state_of(blobs: Mapping[str, Sequence[Any]], nodes: Sequence[Node], path: Path) -> State:
    """What a file of weights holds for these layers, under the names of their modules' tensors.

    Raises WeightsError for blobs that are damaged.
    """
    state: State = {}
    for node in nodes:
        own = [
            tensor(blob, f"{path}: layer {node.layer.name!r}")
            for blob in blobs.get(node.layer.name, ())
        ]
        if own:
            parts = _PARTS.get(node.layer.type, _plain)(node.layer, own)
            state |= {f"{node.name}.{name}": part for name, part in parts.items()}
    return state


def _plain(layer: Any, blobs: Sequence[Tensor]) -> State:
    """Weight and bias; the four dimensions of old files are dropped where they are of length 1."""
    names = ["bias"] if layer.type == "Bias" else ["weight", "bias"]
    names += [f"blob {number}" for number in range(len(names), len(blobs))]
    parts = dict(zip(names, blobs, strict=False))
    for name in ("bias", "weight") if layer.type in ("Scale", "PReLU") else ("bias",):
        if name in parts:
            parts[name] = _without_ones(parts[name], 1)
    return parts


def _inner_product(layer: Any, blobs: Sequence[Tensor]) -> State:
    parts = _plain(layer, blobs)
    weight = _without_ones(parts["weight"], 2)
    parts["weight"] = weight.T.contiguous() if layer.inner_product_param.transpose else weight
    return parts


def _batch_norm(_: Any, blobs: Sequence[Tensor]) -> State:
    """Sums of means and variances, and by how much they are too large."""
    if len(blobs) != 3 or blobs[2].numel() != 1:
        return {f"blob {number}": blob for number, blob in enumerate(blobs)}
    total = float(blobs[2])
    share = 1 / total if total else 0.0
    means, variances = (_without_ones(blob, 1) * share for blob in blobs[:2])
    batches = torch.tensor(0)
    return {"running_mean": means, "running_var": variances, "num_batches_tracked": batches}


def _without_ones(blob: Tensor, least: int) -> Tensor:
    """Without first dimensions of length 1, as long as so many are left; scalars are vectors."""
    while blob.dim() > least and blob.shape[0] == 1:
        blob = blob[0]
    return blob.reshape(1) if blob.dim() == 0 else blob


_PARTS = {"InnerProduct": _inner_product, "BatchNorm": _batch_norm}
