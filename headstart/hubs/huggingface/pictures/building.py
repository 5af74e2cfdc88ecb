"""Building an encoder of pictures, filling it, and making a backbone of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING,
    AutoModel,
    AutoModelForImageClassification,
)

from headstart.contracts import Backbone
from headstart.errors import HeadstartError, WeightsError
from headstart.hubs.huggingface.building import built, origin
from headstart.hubs.huggingface.fetching import weight_files
from headstart.hubs.huggingface.fitting import HEAD, head_of
from headstart.hubs.huggingface.pictures.parts import cut
from headstart.hubs.huggingface.pictures.planning import Plan
from headstart.hubs.huggingface.reading import PROCESSORS
from headstart.references import Reference
from headstart.weights import State, read


def backbone(plan: Plan) -> Backbone:
    """The encoder in stages, with what its artifact needs to be opened by its own library.

    Raises HeadstartError where the network can't be made or fed so, WeightsError for weights that
    are missing or belong to another network.
    """
    network, head, missing = _network(plan)
    root = f"{plan.family.prefix}." if plan.own else ""
    fed = plan.preprocess
    example = torch.zeros(1, fed["channels"], fed["height"], fed["width"])
    try:
        stages = cut(network, plan.family, root, plan.steps, example)
        width = _width(stages, example)
    except Exception as error:  # sizes that don't fit the network fail in as many ways
        shape = "x".join(map(str, example.shape[1:]))
        reason = str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
        raise HeadstartError(
            f"{plan.layout.what} can't read pictures of {shape} ({reason}). "
            "Give it another size=, or none."
        ) from error
    used = {name for stage in stages.values() for name in stage.state_dict()}
    if missing & used:
        names = sorted(missing & used)
        reason = f"{len(names)} missing: {', '.join(names[:3])}"
        raise _misfit(str(plan.layout.file or plan.layout.what), reason)
    if head is not None and head.in_features != width:
        raise WeightsError(
            f"{plan.layout.what} holds a head for {head.in_features} features, and gives {width}. "
            "Make features as the head was trained, with ?pooling=."
        )
    options = {**plan.layout.reference.options, "pooling": plan.options.pooling}
    options["pretrained"] = "false"
    return Backbone(
        stages=stages,
        feature_dim=width,
        modality="image",
        preprocess=fed,
        origin=origin(plan.layout, plan.pretrained, stages),
        architecture=Reference("hf", plan.layout.reference.name, plan.layout.commit, options),
        head=head,
        head_name=plan.family.head if plan.own else HEAD,
        delicate=plan.family.delicate,
        library="transformers" if plan.own else "",
        native=_native(plan, network),
        files={PROCESSORS[0]: plan.processor},
    )


def _network(plan: Plan) -> tuple[nn.Module, nn.Linear | None, set[str]]:
    """transformers' network without its head, the head that the weights hold, and what misses."""
    config, layout = deepcopy(plan.config), plan.layout
    auto: Any = AutoModelForImageClassification if plan.own else AutoModel
    state = _state(plan)
    head = _head(plan, state)
    config.num_labels = head.out_features if head is not None else 2
    missing: set[str] = set()

    if plan.own:  # one of several, where there are
        named: Any = MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING[type(config)]
        config.architectures = [(named[0] if isinstance(named, tuple) else named).__name__]
    kinds: list[type] = []  # which class the automatic one chooses

    def make() -> nn.Module:
        network: nn.Module = auto.from_config(deepcopy(config), trust_remote_code=False)
        kinds.append(type(network))
        return network

    def load() -> nn.Module:
        network, told = _filled(plan, kinds[0], config, state)
        missing.update(told)
        return network

    network = built(make, layout, load if plan.pretrained else None)
    if plan.own:
        above, _, last = plan.family.head.rpartition(".")
        setattr(network.get_submodule(above), last, nn.Identity())
    return network.eval(), head, missing


def _state(plan: Plan) -> State:
    """The tensors of the weights, in single precision."""
    if not plan.pretrained:
        return {}
    layout = plan.layout
    files = [layout.file] if layout.file else weight_files(layout.encoder, layout.what)
    state: State = {}
    for file in files:
        state |= read(file).state
    prefix = f"{plan.family.prefix}."  # which a tower of CLIP that was saved alone may lack
    bare = plan.own and plan.family.whole and not any(n.startswith(prefix) for n in state)
    return {
        f"{prefix if bare else ''}{name}": tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in state.items()
    }


def _head(plan: Plan, state: State) -> nn.Linear | None:
    """The linear layer over features among the tensors, taken out where it is not transformers'."""
    name = plan.family.head if plan.own else HEAD
    names = [f"{name}.{part}" for part in ("weight", "bias")]
    parts = {full.removeprefix(f"{name}."): state[full] for full in names if full in state}
    if not plan.own:
        for full in names:
            state.pop(full, None)
    return head_of(parts, plan.layout.what)


def _filled(plan: Plan, kind: Any, config: Any, state: State) -> tuple[nn.Module, set[str]]:
    """The network with these tensors, by whatever names transformers knows them, and what misses.

    Raises WeightsError where they belong to another network.
    """
    what = str(plan.layout.file or plan.layout.what)
    try:
        with _quiet(), torch.random.fork_rng(devices=()):
            network, told = kind.from_pretrained(
                None,
                config=config,
                state_dict=dict(state),
                output_loading_info=True,
                ignore_mismatched_sizes=True,
            )
    except Exception as error:  # names that can't be turned into today's
        reason = " ".join(str(error).split())[:200].rstrip(".")
        raise _misfit(what, reason) from error
    layers = f"{plan.family.layers}."
    left = [n for n in sorted(told["unexpected_keys"]) if layers in n and not n.startswith("text_")]
    differing = sorted(str(each[0]) for each in told["mismatched_keys"])
    for names, fault in ((differing, "differ in shape"), (left, "left over")):
        if names:
            raise _misfit(what, f"{len(names)} {fault}: {', '.join(names[:3])}")
    return network, set(told["missing_keys"])


def _misfit(what: str, reason: str) -> WeightsError:
    return WeightsError(
        f"{what} does not fit the network: {reason}. Give the weights of this architecture."
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without transformers' bars and reports."""
    from transformers.utils import logging

    verbosity = logging.get_verbosity()  # type: ignore[no-untyped-call]
    bars = logging.is_progress_bar_enabled()  # type: ignore[no-untyped-call]
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)  # type: ignore[no-untyped-call]
        if bars:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def _width(stages: dict[str, nn.Module], example: Tensor) -> int:
    """How many features come out."""
    answer: Any = example
    with torch.no_grad():
        for stage in stages.values():
            answer = stage(answer)
    return int(answer.shape[1])


def _native(plan: Plan, network: Any) -> dict[str, Any]:
    """config.json for transformers; the artifact fills in the labels of a classifier."""
    own = plan.own
    labels: dict[str, Any] = {"id2label": {}, "label2id": {}, "problem_type": None} if own else {}
    return {**plan.raw, "architectures": [type(network).__name__], **labels}
