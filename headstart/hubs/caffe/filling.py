"""Filling a network: with random numbers as its description says, or with weights."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from headstart.hubs.caffe.graph import Node
from headstart.hubs.caffe.network import Built
from headstart.hubs.caffe.reading import tensor
from headstart.loading.weights import State, apart, linear, load_into

_FAN_OUT, _AVERAGE = 1, 2  # how much a filler's spread is of what comes in, or else of these


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
