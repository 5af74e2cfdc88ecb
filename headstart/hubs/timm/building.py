"""Building a timm network, filling it, and taking its head off."""

from __future__ import annotations

import re
import socket
import urllib.parse
import urllib.request
from typing import Any

import timm
import torch
from huggingface_hub import constants
from torch import nn

from headstart.errors import HeadstartError, WeightsError
from headstart.hubs.timm import listing
from headstart.hubs.timm.planning import Plan
from headstart.weights import Weights, load_into


def from_file(plan: Plan, file: Weights) -> tuple[nn.Module, nn.Module | None]:
    """The network with the file's weights, and the file's head where timm's own can't hold it."""
    what, prefix = str(plan.reference.weights), f"{plan.head_name}."
    weight = file.state.get(f"{prefix}weight")
    network = create(plan, num_classes=0 if weight is None else weight.shape[0])
    own = network.state_dict()
    if weight is None or (
        own.keys() == file.state.keys() and own[f"{prefix}weight"].shape == weight.shape
    ):
        load_into(network, file.state, what)
        return network, None
    behead(network)
    names = {name for name in file.state if name.startswith(prefix)} - set(network.state_dict())
    load_into(network, {n: t for n, t in file.state.items() if n not in names}, what)
    head = nn.Linear(weight.shape[-1], weight.shape[0], bias=f"{prefix}bias" in names)
    load_into(head, {name.removeprefix(prefix): file.state[name] for name in names}, what)
    return network, head


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
