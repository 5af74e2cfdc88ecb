"""Building an encoder of pictures, filling it, and making a backbone of it."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from headstart.contracts import Backbone
from headstart.errors import HeadstartError, reason
from headstart.hubs.huggingface.building import (
    architecture,
    built,
    demand_fit,
    native,
    origin,
    untrained,
    width_of,
    with_adapter,
)
from headstart.hubs.huggingface.loading import HEAD, labelled, load, read_weights
from headstart.hubs.huggingface.pictures.parts import cut
from headstart.hubs.huggingface.pictures.planning import PictureSpec
from headstart.hubs.huggingface.reading import PROCESSORS
from headstart.loading.refusals import misfit
from headstart.loading.transformers_networks import AutoModel, AutoModelForImageClassification
from headstart.loading.weights import State, linear


def backbone(spec: PictureSpec) -> Backbone:
    """The encoder in stages, with what its artifact needs to be opened by its own library.

    Raises HeadstartError where the network can't be made or fed so, WeightsError for weights that
    are missing or belong to another network.
    """
    network, head, missing = _network(spec)
    stages, pool, width = _stages(spec, network)
    parts = [*stages.values(), pool]
    missing &= {name for part in parts for name in part.state_dict()}
    if missing:
        fault = f"{len(missing)} missing: {', '.join(sorted(missing)[:3])}"
        raise misfit(_source(spec), fault)
    demand_fit(head, width, spec.layout.what, "it")
    return Backbone(
        stages=stages,
        pool=pool,
        feature_dim=width,
        modality="image",
        preprocess=spec.preprocess,
        origin=origin(spec.layout, parts),
        architecture=architecture(spec.layout, pooling=spec.options.pooling),
        head=head,
        head_name=spec.family.head if spec.own else HEAD,
        delicate=spec.family.delicate,
        library="transformers" if spec.own else "",
        native=native(spec.raw, network, spec.own),
        files={PROCESSORS[0]: spec.processor},
    )


def _stages(spec: PictureSpec, network: nn.Module) -> tuple[dict[str, nn.Module], nn.Module, int]:
    """The stages, the pooling, and how many features they give for pictures of the plan's size."""
    fed = spec.preprocess
    example = torch.zeros(1, fed["channels"], fed["height"], fed["width"])
    try:
        root = f"{spec.family.prefix}." if spec.own else ""
        stages, pool = cut(network, spec.family, root, spec.steps, example)
        return stages, pool, width_of([*stages.values(), pool], example)
    except Exception as error:  # sizes that don't fit the network fail in as many ways
        shape = "x".join(map(str, example.shape[1:]))
        raise HeadstartError(
            f"{spec.layout.what} can't read pictures of {shape} ({reason(error)}). "
            "Give it another size=, or none."
        ) from error


def _network(spec: PictureSpec) -> tuple[nn.Module, nn.Linear | None, frozenset[str]]:
    """transformers' network without its head, the head that the weights hold, and what misses."""
    auto: Any = AutoModelForImageClassification if spec.own else AutoModel
    state = _state(spec)
    head = _head(spec, state)
    config = labelled(spec.config, auto, 2 if head is None else head.out_features)
    missing: set[str] = set()

    def fill() -> nn.Module:
        loaded = load(auto, config, state, _source(spec))
        missing.update(loaded.missing)
        layers = f"{spec.family.layers}."
        names = [name for name in loaded.unexpected if not name.startswith("text_")]
        unfit = [name for name in names if layers in name]
        if unfit:
            raise misfit(_source(spec), f"{len(unfit)} left over: {', '.join(unfit[:3])}")
        return loaded.network

    filled = fill if spec.layout.pretrained else None
    network = built(lambda: untrained(auto, config), spec.layout, filled)
    if spec.own:
        network.set_submodule(spec.family.head, nn.Identity())
    return network.eval(), head, frozenset(missing)


def _source(spec: PictureSpec) -> str:
    return str(spec.layout.file or spec.layout.what)


def _state(spec: PictureSpec) -> State:
    """The tensors of the weights, with those of an adapter merged into them."""
    if not spec.layout.pretrained:
        return {}
    layout, family = spec.layout, spec.family
    state, _ = read_weights(layout)
    prefix = f"{family.prefix}."  # which a tower of CLIP that was saved alone may lack
    if spec.own and family.whole and not any(name.startswith(prefix) for name in state):
        state = {f"{prefix}{name}": tensor for name, tensor in state.items()}
    names = family.prefix, family.head
    return with_adapter(layout, names, state, AutoModelForImageClassification, spec.config)


def _head(spec: PictureSpec, state: State) -> nn.Linear | None:
    """The linear layer over features among the tensors, taken out where it is not transformers'."""
    name = spec.family.head if spec.own else HEAD
    names = [f"{name}.{part}" for part in ("weight", "bias")]
    parts = {full.removeprefix(f"{name}."): state[full] for full in names if full in state}
    if not spec.own:
        for full in names:
            state.pop(full, None)
    return linear(parts, None, spec.layout.what)
