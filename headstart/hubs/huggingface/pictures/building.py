"""Building an encoder of pictures, filling it, and making a backbone of it."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModel, AutoModelForImageClassification

from headstart.contracts import Backbone
from headstart.contracts.references import Reference
from headstart.errors import HeadstartError, WeightsError
from headstart.hubs.huggingface.adapters import merged
from headstart.hubs.huggingface.building import built, origin
from headstart.hubs.huggingface.fitting import HEAD, head_of
from headstart.hubs.huggingface.loading import Loaded, load, misfit, named_class, read_weights
from headstart.hubs.huggingface.pictures.parts import cut
from headstart.hubs.huggingface.pictures.planning import Plan
from headstart.hubs.huggingface.reading import PROCESSORS
from headstart.loading.weights import State


def backbone(plan: Plan) -> Backbone:
    """The encoder in stages, with what its artifact needs to be opened by its own library.

    Raises HeadstartError where the network can't be made or fed so, WeightsError for weights that
    are missing or belong to another network.
    """
    network, head, missing = _network(plan)
    stages, pool, width = _stages(plan, network)
    parts = [*stages.values(), pool]
    missing &= {name for part in parts for name in part.state_dict()}
    if missing:
        reason = f"{len(missing)} missing: {', '.join(sorted(missing)[:3])}"
        raise misfit(_source(plan), reason)
    if head is not None and head.in_features != width:
        raise WeightsError(
            f"{plan.layout.what} holds a head for {head.in_features} features, and gives {width}. "
            "Make features as the head was trained, with ?pooling=."
        )
    named = plan.layout.reference
    options = {**named.options, "pooling": plan.options.pooling, "pretrained": "false"}
    return Backbone(
        stages=stages,
        pool=pool,
        feature_dim=width,
        modality="image",
        preprocess=plan.preprocess,
        origin=origin(plan.layout, plan.pretrained, parts),
        architecture=Reference("hf", named.name, plan.layout.commit, options),
        head=head,
        head_name=plan.family.head if plan.own else HEAD,
        delicate=plan.family.delicate,
        library="transformers" if plan.own else "",
        native=_native(plan, network),
        files={PROCESSORS[0]: plan.processor},
    )


def _stages(plan: Plan, network: nn.Module) -> tuple[dict[str, nn.Module], nn.Module, int]:
    """The stages, the pooling, and how many features they give for pictures of the plan's size."""
    fed = plan.preprocess
    example = torch.zeros(1, fed["channels"], fed["height"], fed["width"])
    try:
        root = f"{plan.family.prefix}." if plan.own else ""
        stages, pool = cut(network, plan.family, root, plan.steps, example)
        return stages, pool, _width([*stages.values(), pool], example)
    except Exception as error:  # sizes that don't fit the network fail in as many ways
        shape = "x".join(map(str, example.shape[1:]))
        reason = str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
        raise HeadstartError(
            f"{plan.layout.what} can't read pictures of {shape} ({reason}). "
            "Give it another size=, or none."
        ) from error


def _network(plan: Plan) -> tuple[nn.Module, nn.Linear | None, frozenset[str]]:
    """transformers' network without its head, the head that the weights hold, and what misses."""
    auto: Any = AutoModelForImageClassification if plan.own else AutoModel
    state = _state(plan)
    head = _head(plan, state)
    config = _labelled(plan.config, auto, 2 if head is None else head.out_features)
    missing: set[str] = set()

    def make() -> nn.Module:
        network: nn.Module = auto.from_config(deepcopy(config), trust_remote_code=False)
        return network

    def fill() -> nn.Module:
        loaded = load(auto, config, state, _source(plan))
        missing.update(loaded.missing)
        layers = f"{plan.family.layers}."
        left = [name for name in loaded.left if layers in name and not name.startswith("text_")]
        if left:
            raise misfit(_source(plan), f"{len(left)} left over: {', '.join(left[:3])}")
        return loaded.network

    network = built(make, plan.layout, fill if plan.pretrained else None)
    if plan.own:
        above, _, last = plan.family.head.rpartition(".")
        setattr(network.get_submodule(above), last, nn.Identity())
    return network.eval(), head, frozenset(missing)


def _labelled(config: Any, auto: Any, labels: int) -> Any:
    """config.json as it is for so many labels, with the class that is meant where it is several."""
    changed = deepcopy(config)
    changed.num_labels = labels
    changed.architectures = [named_class(auto, config).__name__]
    return changed


def _source(plan: Plan) -> str:
    return str(plan.layout.file or plan.layout.what)


def _state(plan: Plan) -> State:
    """The tensors of the weights, with those of an adapter merged into them."""
    if not plan.pretrained:
        return {}
    layout, family = plan.layout, plan.family
    state, _ = read_weights(layout)
    prefix = f"{family.prefix}."  # which a tower of CLIP that was saved alone may lack
    if plan.own and family.whole and not any(name.startswith(prefix) for name in state):
        state = {f"{prefix}{name}": tensor for name, tensor in state.items()}
    if layout.adapter is not None and layout.file is None:

        def load_it(classifier: bool, labels: int) -> Loaded:
            auto: Any = AutoModelForImageClassification if classifier else AutoModel
            config = _labelled(plan.config, auto, labels)
            built(lambda: auto.from_config(config), layout, nn.Identity)
            return load(auto, config, state, layout.what)

        state = merged(layout.adapter, layout.what, family.prefix, family.head, load_it)
    return state


def _head(plan: Plan, state: State) -> nn.Linear | None:
    """The linear layer over features among the tensors, taken out where it is not transformers'."""
    name = plan.family.head if plan.own else HEAD
    names = [f"{name}.{part}" for part in ("weight", "bias")]
    parts = {full.removeprefix(f"{name}."): state[full] for full in names if full in state}
    if not plan.own:
        for full in names:
            state.pop(full, None)
    return head_of(parts, plan.layout.what)


def _width(parts: list[nn.Module], example: Tensor) -> int:
    """How many features come out."""
    answer: Any = example
    with torch.no_grad():
        for part in parts:
            answer = part(answer)
    return int(answer.shape[1])


def _native(plan: Plan, network: Any) -> dict[str, Any]:
    """config.json for transformers; the artifact fills in the labels of a classifier."""
    own = plan.own
    labels: dict[str, Any] = {"id2label": {}, "label2id": {}, "problem_type": None} if own else {}
    return {**plan.raw, "architectures": [type(network).__name__], **labels}
