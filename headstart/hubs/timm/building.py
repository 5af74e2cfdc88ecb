"""Building a timm network, filling it, and taking its head off."""

from __future__ import annotations

import re
import socket
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import Any, final

import timm
import torch
from huggingface_hub import constants
from torch import Tensor, nn

from headstart.errors import HeadstartError, WeightsError
from headstart.hubs.timm import listing
from headstart.hubs.timm.planning import Plan
from headstart.weights import State, Weights, fit, linear, load_into
from headstart.weights.fitting import without_wrappers


@final
@dataclass(frozen=True)
class Filled:
    """A network with a file's weights, their head where timm's own can't hold it, and notes."""

    network: nn.Module
    head: nn.Module | None = None
    notes: tuple[str, ...] = ()


def from_file(plan: Plan, file: Weights) -> Filled:
    """The network with the file's weights, as timm itself would read them.

    Names and shapes that are the network's own are copied; others go through the filters by which
    timm reads the files of an architecture's authors, of other sizes and of other channels. Raises
    WeightsError where neither fits.
    """
    what, averaged = str(plan.reference.weights), plan.reference.option("ema", True)
    whole = _shell(plan).state_dict()
    if _same(whole, file.state):
        network = create(plan)
        load_into(network, file.state, what)
        return Filled(network, notes=file.notes)
    fitted = fit(file, *_body(plan, whole), averaged, what)
    head = {f"{plan.head_name}.{part}": tensor for part, tensor in fitted.head.items()}
    state, classes = {**fitted.body, **head}, len(fitted.head.get("weight", ()))
    network = create(plan, num_classes=classes)
    for tensors in (state, file.state):  # with two heads, only the file's own names are whole
        if _same(network.state_dict(), tensors):
            load_into(network, tensors, what)
            return Filled(network, notes=fitted.notes)
    behead(network)
    if head and _same(network.state_dict(), fitted.body):
        load_into(network, fitted.body, what)
        own = linear(fitted.head, fitted.head["weight"].shape[-1], what)
        return Filled(network, own, fitted.notes)
    foreign = without_wrappers(file.state)
    for tensors, count, notes in (
        (foreign, _classes(foreign), file.notes),
        (state, classes, fitted.notes),
    ):
        filled = _through_timm(plan, tensors, count)
        if filled is not None:
            return Filled(filled, notes=notes)
    network = create(plan, num_classes=classes)
    load_into(network, state, what)
    return Filled(network, notes=fitted.notes)


def _same(own: State, state: State) -> bool:
    """Whether tensors have a network's names and shapes; counts of batches may be missing."""
    return all(name in own and own[name].shape == t.shape for name, t in state.items()) and all(
        name in state or name.endswith("num_batches_tracked") for name in own
    )


def _body(plan: Plan, whole: State) -> tuple[State, str, int]:
    """The network's tensors without its head, what the head is called, and what it reads."""
    prefix = f"{plan.head_name}."
    weight = whole.get(f"{prefix}weight")
    body = {name: tensor for name, tensor in whole.items() if not name.startswith(prefix)}
    if weight is not None:
        return body, plan.head_name, weight.shape[1]
    width: int = _shell(plan).num_features  # type: ignore[assignment]  # every timm model has it
    return body, plan.head_name, width


def _shell(plan: Plan) -> nn.Module:
    """The network without values, or with random ones where it can't be without."""
    try:
        return create(plan, meta=True)
    except HeadstartError:
        return create(plan)


def _classes(state: State) -> int:
    """How many outputs the last layer has, where its name is that of a head."""
    names = [n for n, t in state.items() if n.endswith(".weight") and t.dim() in (2, 4)]
    last = names[-1].split(".") if names else [""]
    return state[names[-1]].shape[0] if {"head", "heads", "fc", "classifier"} & set(last) else 0


def _through_timm(plan: Plan, state: State, classes: int) -> nn.Module | None:
    """The network filled by timm, with its filter for this architecture; None where that fails."""
    overlay = {
        "state_dict": state,
        "num_classes": classes,
        "custom_load": False,
        "label_offset": None,
        "source": None,
    }
    if plan.beside is not None and plan.file is not None and "channels" in plan.reference.options:
        overlay["input_size"] = tuple(plan.beside.config["input_size"])
    try:
        network: nn.Module = timm.create_model(
            plan.reference.name,
            pretrained=True,
            pretrained_cfg_overlay=overlay,
            num_classes=classes,
            **plan.keywords,
        )
    except Exception:  # a filter meets tensors of any other network
        return None
    network.pretrained_cfg.pop("state_dict", None)  # type: ignore[operator,union-attr]
    return network if _is_adapted(plan, network) else None


def _is_adapted(plan: Plan, network: nn.Module) -> bool:
    """Whether timm could give the first layers weights for other channels than they were trained on.

    Where it can't, it leaves them random.
    """
    named, channels = plan.config.get("first_conv"), plan.keywords.get("in_chans")
    names = [named] if isinstance(named, str) else named or ()
    weights: list[Tensor] = [network.get_submodule(name).weight for name in names]  # type: ignore[misc]
    return channels is None or all(
        weight.dim() == 4 and (channels == 1 or weight.shape[1] == channels) for weight in weights
    )


def from_hub(plan: Plan) -> nn.Module:
    """Pretrained weights from the cache of this machine, or else over the network.

    Raises WeightsError where they are in neither.
    """
    if plan.keywords:
        create(plan, meta=True)  # so that a bad option is not taken for a failed download
    revision = plan.reference.weights
    overlay: dict[str, Any] = {}
    cached = listing.at_hand(plan.config, revision)
    if cached is not None and not plan.config.get("custom_load"):
        overlay["file"] = str(cached)
    elif not plan.config.get("hf_hub_id") and not plan.config.get("url"):
        raise WeightsError(f"{plan.what} has no pretrained weights. {_advice(plan)}")
    elif _cut_off(plan):
        raise WeightsError(
            f"The weights of {plan.what} are not on this machine, and there is no network. "
            f"{_advice(plan)}"
        )
    elif revision is not None:
        overlay["hf_hub_id"] = f"{plan.config.get('hf_hub_id')}@{revision}"
    try:
        return timm.create_model(
            plan.reference.name, pretrained=True, pretrained_cfg_overlay=overlay, **plan.keywords
        )
    except Exception as error:  # the network, the disk and the hub raise nearly anything
        reason = str(error).strip().partition("\n")[0].rstrip(".")[:160]
        raise WeightsError(
            f"The weights of {plan.what} could not be fetched ({type(error).__name__}: {reason}). "
            f"{_advice(plan)}"
        ) from error


def _cut_off(plan: Plan) -> bool:
    """Whether the download can't even begin, found before the hub's many slow attempts."""
    if constants.HF_HUB_OFFLINE:
        return True
    if urllib.request.getproxies():
        return False
    where = constants.ENDPOINT if plan.config.get("hf_hub_id") else str(plan.config["url"])
    try:
        socket.getaddrinfo(urllib.parse.urlsplit(where).hostname, 443)
    except OSError:
        return True
    return False


def _advice(plan: Plan) -> str:
    name = plan.what
    return (
        f"Give a local file with {name}@FILE, or take random weights with {name}?pretrained=false."
    )


def create(plan: Plan, meta: bool = False, **more: Any) -> nn.Module:
    """A network with random weights. Raises HeadstartError for options that timm can't use."""
    try:
        with torch.device("meta" if meta else torch.get_default_device()):
            return timm.create_model(plan.reference.name, **plan.keywords, **more)
    except Exception as error:  # each architecture refuses a bad option in its own way
        unknown = re.search(r"unexpected keyword argument '(\w+)'", str(error))
        if unknown:
            raise HeadstartError(
                f"{plan.what} has no option {unknown[1]!r}. Leave it out, or see the arguments of "
                "timm.create_model for this architecture."
            ) from error
        raise HeadstartError(
            f"{plan.what} can't be built with {plan.keywords or 'its defaults'} ({error}). "
            "Change or leave out the options."
        ) from error


def behead(network: nn.Module) -> nn.Module | None:
    """Take the head off and answer it."""
    head = network.get_classifier()  # type: ignore[operator]  # every timm model has both methods
    network.reset_classifier(0)  # type: ignore[operator]
    return head if isinstance(head, nn.Module) and not isinstance(head, nn.Identity) else None
