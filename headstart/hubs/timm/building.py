"""Building a timm network, filling it, and taking its head off."""

from __future__ import annotations

import re
from collections.abc import Collection
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any, Final, final

from huggingface_hub import constants
from torch import nn

from headstart.errors import HeadstartError, WeightsError, named_reason
from headstart.hubs.timm import filtering, listing
from headstart.hubs.timm.library import timm
from headstart.hubs.timm.planning import TimmSpec
from headstart.loading import meta as meta_device
from headstart.loading.downloads import cut_off
from headstart.loading.refusals import without_download
from headstart.loading.weights import State, Weights, fit, linear, load_into

_TORCHVISION: Final = ("conv_proj.weight", "features.0.0.weight")  # in no network of timm
# names of EfficientNet-PyTorch (Melas-Kyriazi 2019) and what follows it, as timm has them
_STEM: Final = "_conv_stem.weight"
_BLOCK: Final = re.compile(r"_blocks\.(\d+)\.(\w+)\.(.+)")
_AROUND: Final = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
}
_HEAD: Final = "_fc"
_SQUEEZE: Final = {"_se_reduce": "se.conv_reduce", "_se_expand": "se.conv_expand"}
_WIDENED: Final = _SQUEEZE | {  # blocks that first widen, with three convolutions
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_PLAIN: Final = _SQUEEZE | {  # those that don't, with two
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn1",
    "_project_conv": "conv_pw",
    "_bn2": "bn2",
}


@final
@dataclass(frozen=True)
class Filled:
    """A network with a file's weights, their head where timm's own can't hold it, and notes."""

    network: nn.Module
    head: nn.Module | None = None
    notes: tuple[str, ...] = ()


def from_file(spec: TimmSpec, file: Weights) -> Filled:
    """The network with the file's weights, as timm itself would read them.

    Names and shapes that are the network's own are copied; others go through the filters by which
    timm reads the files of an architecture's authors, of other sizes and of other channels. Raises
    WeightsError where neither fits.
    """
    what, averaged = str(spec.reference.weights), spec.reference.option("ema", True)
    whole = _shell(spec)
    file = replace(file, state=renamed(file.state, whole.state_dict(), spec.head_name))
    if _same(whole, file.state):
        return _loaded(spec, file.state, None, file.notes)
    fitted = fit(file, *_body(spec, whole), averaged, what)
    head = {f"{spec.head_name}.{part}": tensor for part, tensor in fitted.head.items()}
    state, classes = {**fitted.body, **head}, len(fitted.head.get("weight", ()))
    shell = _shell(spec, num_classes=classes)
    for tensors in (state, file.state):  # with two heads, only the file's own names are whole
        if _same(shell, tensors):
            return _loaded(spec, tensors, classes, fitted.notes)
    behead(shell)
    if head and _same(shell, fitted.body):
        network = create(spec, num_classes=classes)
        behead(network)
        load_into(network, fitted.body, what)
        own = linear(fitted.head, fitted.head["weight"].shape[-1], what)
        return Filled(network, own, fitted.notes)
    for tensors, notes in ((file.state, file.notes), (state, fitted.notes)):
        filtered = filtering.filled(spec, tensors)
        if filtered is not None:
            return Filled(filtered, notes=notes)
    from_arrays = filtering.of_arrays(spec, file)
    if from_arrays is not None:
        return Filled(from_arrays, notes=file.notes)
    if any(name.endswith(_TORCHVISION) for name in file.state):
        raise WeightsError(
            f"{what} holds weights under the names of torchvision's networks, which timm doesn't "
            f"read for {spec.what}. Write torchvision:NAME@{what}."
        )
    return _loaded(spec, state, classes, fitted.notes)


def _loaded(spec: TimmSpec, state: State, classes: int | None, notes: tuple[str, ...]) -> Filled:
    """The network with these tensors. Raises WeightsError where they don't fit."""
    network = create(spec) if classes is None else create(spec, num_classes=classes)
    load_into(network, state, str(spec.reference.weights))
    return Filled(network, notes=notes)


def _same(network: nn.Module, state: State) -> bool:
    """Whether tensors have a network's names and shapes; counts of batches may be missing."""
    own = network.state_dict()
    return all(name in own and own[name].shape == t.shape for name, t in state.items()) and all(
        name in state or name.endswith("num_batches_tracked") for name in own
    )


def _body(spec: TimmSpec, whole: nn.Module) -> tuple[State, str, int]:
    """The network's tensors without its head, what the head is called, and what it reads."""
    own, prefix = whole.state_dict(), f"{spec.head_name}."
    weight = own.get(f"{prefix}weight")
    width: int = whole.num_features if weight is None else weight.shape[1]  # type: ignore[assignment]
    return {n: t for n, t in own.items() if not n.startswith(prefix)}, spec.head_name, width


def _shell(spec: TimmSpec, **more: Any) -> nn.Module:
    """The network without values, or with random ones where it can't be without."""
    return without_values(spec, **more) or create(spec, **more)


def without_values(spec: TimmSpec, **more: Any) -> nn.Module | None:
    """The network without values or memory for them, None where it can't be made so."""
    try:
        return create(spec, meta=True, **more)
    except HeadstartError:
        return None


def from_hub(spec: TimmSpec) -> nn.Module:
    """Pretrained weights from the cache of this machine, or else over the network.

    Raises WeightsError where they are in neither.
    """
    if spec.keywords:
        create(spec, meta=True)  # so that a bad option is not taken for a failed download
    revision = spec.reference.weights
    overlay: dict[str, Any] = {}
    cached = listing.at_hand(spec.config, revision)
    if cached is not None and not spec.config.get("custom_load"):
        overlay["file"] = str(cached)
    elif not spec.config.get("hf_hub_id") and not spec.config.get("url"):
        raise WeightsError(f"{spec.what} has no pretrained weights. {without_download(spec.what)}")
    elif cut_off(constants.ENDPOINT if spec.config.get("hf_hub_id") else str(spec.config["url"])):
        raise WeightsError(
            f"The weights of {spec.what} are not on this machine, and there is no network. "
            f"{without_download(spec.what)}"
        )
    elif revision is not None:
        overlay["hf_hub_id"] = f"{spec.config.get('hf_hub_id')}@{revision}"
    try:
        return timm.create_model(
            spec.reference.name, pretrained=True, pretrained_cfg_overlay=overlay, **spec.keywords
        )
    except Exception as error:  # the network, the disk and the hub raise nearly anything
        raise WeightsError(
            f"The weights of {spec.what} could not be fetched ({named_reason(error)}). "
            f"{without_download(spec.what)}"
        ) from error


def create(spec: TimmSpec, meta: bool = False, **more: Any) -> nn.Module:
    """A network with random weights. Raises HeadstartError for options that timm can't use."""
    try:
        with meta_device.without_values() if meta else nullcontext():
            return timm.create_model(spec.reference.name, **spec.keywords, **more)
    except Exception as error:  # each architecture refuses a bad option in its own way
        unknown = re.search(r"unexpected keyword argument '(\w+)'", str(error))
        if unknown:
            raise HeadstartError(
                f"{spec.what} has no option {unknown[1]!r}. Leave it out, or see the arguments of "
                "timm.create_model for this architecture."
            ) from error
        raise HeadstartError(
            f"{spec.what} can't be built with {spec.keywords or 'its defaults'} ({error}). "
            "Change or leave out the options."
        ) from error


def behead(network: nn.Module) -> nn.Module | None:
    """Take the head off and answer it."""
    head = network.get_classifier()  # type: ignore[operator]  # every timm model has both methods
    network.reset_classifier(0)  # type: ignore[operator]
    return head if isinstance(head, nn.Module) and not isinstance(head, nn.Identity) else None


def renamed(state: State, own: Collection[str], head: str) -> State:
    """An EfficientNet of EfficientNet-PyTorch under timm's names; any other as it is.

    `own` are the names of timm's network, which says how its blocks lie in stages, and `head` is
    what it calls its last layer. Widths and depths are left to whoever fits the tensors.
    """
    stem = next((name for name in state if name.endswith(_STEM)), None)
    places = list(dict.fromkeys(".".join(n.split(".")[:3]) for n in own if n.startswith("blocks.")))
    if stem is None or not places:
        return state
    before = stem.removesuffix(_STEM)
    inside = {name.removeprefix(before): tensor for name, tensor in state.items()}
    around = _AROUND | {_HEAD: head}
    names: State = {}
    for name, tensor in inside.items():
        layer, _, rest = name.partition(".")
        block = _BLOCK.fullmatch(name)
        if block and int(block[1]) < len(places):
            parts = _WIDENED if f"_blocks.{block[1]}._expand_conv.weight" in inside else _PLAIN
            name = f"{places[int(block[1])]}.{parts.get(block[2], block[2])}.{block[3]}"
        elif layer in around:
            name = f"{around[layer]}.{rest}"
        names[name] = tensor
    return names
