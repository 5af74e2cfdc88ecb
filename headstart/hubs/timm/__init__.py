"""PyTorch Image Models (Wightman 2019): VGG, ResNet, MobileNet, ViT and some 1,300 more."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

import timm
import torch
from torch import Tensor, nn

from headstart.contracts import Backbone, Card, Hub, Origin
from headstart.errors import HeadstartError, UnknownNameError, WeightsError
from headstart.hubs.timm import listing, recipe
from headstart.references import Reference
from headstart.stages import find_stages
from headstart.weights import Weights, digest, load_into, read

_SUFFIXES: Final = (".safetensors", ".pth", ".pt", ".th", ".bin")


@final
class Timm(Hub):
    """Image models by their timm name, with a tag for one of several sets of weights.

    `@file` loads local weights, `@revision` a revision on the Hugging Face hub; `pretrained=false`
    gives random weights that follow torch's global random state. `size`, `channels`, `crop`,
    `crop_mode`, `interpolation`, `mean` and `std` change the preprocessing; every other option goes to
    `timm.create_model`. A weights file may state its options in its safetensors header.
    """

    def cards(self, pattern: str) -> Iterable[Card]:
        """All models whose name matches the shell pattern, with and without weights; offline."""
        return listing.cards(pattern)

    def load(self, reference: Reference) -> Backbone:
        """Build the network, fill it, take its head off and find its stages.

        Raises UnknownNameError for a name timm doesn't have, HeadstartError for an option it can't use,
        WeightsError for weights that are missing or belong to another network.
        """
        plan = _plan(reference)
        if plan.file is not None:
            network, head = _from_file(plan, plan.file)
            return _backbone(plan, network, head)
        if reference.option("pretrained", True):
            return _backbone(plan, _from_hub(plan))
        return _backbone(plan, _create(plan))


@dataclass(frozen=True)
class _Plan:
    """A reference with everything settled: what to build, from which file, fed with what."""

    reference: Reference
    config: Mapping[str, Any]  # timm's own, of this name and tag
    own: recipe.Recipe  # the preprocessing that it asks for
    preprocess: recipe.Recipe
    keywords: dict[str, Any]
    file: Weights | None

    @property
    def what(self) -> str:
        """How messages call the model."""
        return f"timm:{self.reference.name}"

    @property
    def pretrained(self) -> bool:
        """Whether weights come from somewhere."""
        return self.file is not None or self.reference.option("pretrained", True)

    @property
    def head_name(self) -> str:
        """The qualified name of the head, where there is exactly one."""
        name = self.config.get("classifier")
        return name if isinstance(name, str) else "head"


def _plan(reference: Reference) -> _Plan:
    name = reference.name
    if not timm.is_model(name) or ("." in name and name not in timm.list_pretrained()):
        raise UnknownNameError("timm model", name, listing.listed("*"))
    config = timm.get_pretrained_cfg(name)
    details: dict[str, Any] = config.to_dict() if config is not None else {}
    file = _file(reference)
    options = {
        **(recipe.from_header(_header(file, reference)) if file else {}),
        **reference.options,
    }
    own = recipe.configured(details)
    what = f"timm:{name}"
    preprocess = recipe.changed(own, options, what)
    keywords = recipe.construction(options, own, details)
    if "img_size" in keywords and "size" not in options:
        preprocess = recipe.changed(preprocess, {"size": str(keywords["img_size"])}, what)
    return _Plan(reference, details, own, preprocess, keywords, file)


def _file(reference: Reference) -> Weights | None:
    """The local file after @, or None where @ names a revision or is not there."""
    if reference.weights is None:
        return None
    if Path(reference.weights).exists() or reference.weights.lower().endswith(_SUFFIXES):
        return read(reference.weights)
    return None


def _header(file: Weights, reference: Reference) -> Mapping[str, str]:
    stated = file.metadata.get("timm")
    if stated and stated.partition(".")[0] != reference.name.partition(".")[0]:
        raise WeightsError(
            f"{reference.weights} holds the weights of timm:{stated}, not of timm:{reference.name}. "
            f"Write timm:{stated}@{reference.weights}."
        )
    return file.metadata


def _from_file(plan: _Plan, file: Weights) -> tuple[nn.Module, nn.Module | None]:
    """The network with the file's weights, and the file's head where timm's own can't hold it."""
    what, prefix = str(plan.reference.weights), f"{plan.head_name}."
    weight = file.state.get(f"{prefix}weight")
    network = _create(plan, num_classes=0 if weight is None else weight.shape[0])
    own = network.state_dict()
    if weight is None or (
        own.keys() == file.state.keys() and own[f"{prefix}weight"].shape == weight.shape
    ):
        load_into(network, file.state, what)
        return network, None
    _behead(network)
    names = {name for name in file.state if name.startswith(prefix)} - set(network.state_dict())
    load_into(network, {n: t for n, t in file.state.items() if n not in names}, what)
    head = nn.Linear(weight.shape[-1], weight.shape[0], bias=f"{prefix}bias" in names)
    load_into(head, {name.removeprefix(prefix): file.state[name] for name in names}, what)
    return network, head


def _from_hub(plan: _Plan) -> nn.Module:
    """Pretrained weights from the cache of this machine, or else over the network."""
    revision = plan.reference.weights
    overlay: dict[str, Any] = {}
    cached = listing.at_hand(plan.config, revision)
    if cached is not None and not plan.config.get("custom_load"):
        overlay["file"] = str(cached)
    elif revision is not None:
        overlay["hf_hub_id"] = f"{plan.config.get('hf_hub_id')}@{revision}"
    elif not plan.config.get("hf_hub_id") and not plan.config.get("url"):
        raise WeightsError(f"{plan.what} has no pretrained weights. {_advice(plan)}")
    if plan.keywords:
        _create(plan, meta=True)  # so that a bad option is not taken for a failed download
    try:
        return timm.create_model(
            plan.reference.name, pretrained=True, pretrained_cfg_overlay=overlay, **plan.keywords
        )
    except Exception as error:  # the network, the disk and the hub raise nearly anything
        reason = str(error).strip().partition("\n")[0].rstrip(".")[:200]
        raise WeightsError(
            f"The weights of {plan.what} are not on this machine and could not be fetched "
            f"({type(error).__name__}: {reason}). {_advice(plan)}"
        ) from error


def _advice(plan: _Plan) -> str:
    name = plan.what
    return (
        f"Give a local file with {name}@FILE, or take random weights with {name}?pretrained=false."
    )


def _create(plan: _Plan, meta: bool = False, **more: Any) -> nn.Module:
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


def _behead(network: nn.Module) -> nn.Module | None:
    """Take the head off and answer it."""
    head = network.get_classifier()  # type: ignore[operator]  # every timm model has both methods
    network.reset_classifier(0)  # type: ignore[operator]
    return head if isinstance(head, nn.Module) and not isinstance(head, nn.Identity) else None


def _backbone(plan: _Plan, network: nn.Module, head: nn.Module | None = None) -> Backbone:
    shape = [plan.preprocess[side] for side in ("channels", "height", "width")]
    example = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))
    network.eval()
    before = _outputs(plan, network, example) if plan.pretrained and head is None else None
    native = _native(plan) if _is_linear(network, plan.head_name) else {}
    own_head = _behead(network)
    features = _outputs(plan, network, example)
    if features.dim() != 2:
        raise HeadstartError(
            f"{plan.what} gives features of shape {list(features.shape[1:])} an item, not one row. "
            "Leave out global_pool and the like."
        )
    if own_head is not None and before is not None and _fits(own_head, features, before):
        head = own_head
    return Backbone(
        stages=find_stages(network, example),
        feature_dim=features.shape[1],
        modality="image",
        preprocess=plan.preprocess,
        origin=_origin(plan, network),
        architecture=_architecture(plan),
        head=head,
        head_name=plan.head_name,
        native=native,
    )


def _outputs(plan: _Plan, network: nn.Module, example: Tensor) -> Tensor:
    try:
        with torch.no_grad():
            outputs: Tensor = network(example)
    except Exception as error:  # sizes that don't fit the architecture fail in as many ways
        raise HeadstartError(
            f"{plan.what} can't read pictures of {'x'.join(map(str, example.shape[1:]))} ({error}). "
            "Give it another size=, or none."
        ) from error
    return outputs


def _is_linear(network: nn.Module, name: str) -> bool:
    """Whether timm's own head is one linear layer, so that ours can take its place."""
    head = dict(network.named_modules()).get(name)
    own = network.get_classifier()  # type: ignore[operator]  # every timm model has it
    return isinstance(head, nn.Linear) and head is own


def _fits(head: nn.Module, features: Tensor, before: Tensor) -> bool:
    """Whether the head that was taken off still gives the network's outputs."""
    try:
        with torch.no_grad():
            return torch.allclose(head.eval()(features), before, atol=1e-4, rtol=1e-3)
    except (RuntimeError, TypeError, AttributeError):  # a head that wants maps, or two inputs
        return False


def _origin(plan: _Plan, network: nn.Module) -> Origin:
    if plan.file is not None:
        header = plan.file.metadata
        licence = header.get("licence") or header.get("license")
        trained_on = header.get("trained_on")
    else:
        licence = plan.config.get("license") if plan.pretrained else None
        trained_on = listing.trained_on(plan.config) if plan.pretrained else None
    return Origin(
        reference=str(plan.reference),
        licence=licence,
        trained_on=trained_on,
        weights_hash=digest(network.state_dict()),
        pretrained=plan.pretrained,
    )


def _architecture(plan: _Plan) -> Reference:
    keywords = {n: str(v) for n, v in plan.keywords.items() if n not in ("in_chans", "img_size")}
    if "img_size" in plan.keywords and plan.keywords["img_size"] != plan.preprocess["height"]:
        keywords["img_size"] = str(plan.keywords["img_size"])
    options = {**keywords, **recipe.difference(plan.preprocess, plan.own), "pretrained": "false"}
    return Reference("timm", plan.reference.name, options=options)


def _native(plan: _Plan) -> dict[str, Any]:
    """What timm reads as config.json from a local folder; the artifact adds `num_classes`."""
    fed = plan.preprocess
    return {
        "architecture": plan.reference.name.partition(".")[0],
        "pretrained_cfg": {
            "input_size": [fed["channels"], fed["height"], fed["width"]],
            "fixed_input_size": bool(plan.config.get("fixed_input_size")),
            "interpolation": fed["interpolation"],
            "crop_pct": fed["crop"],
            "crop_mode": fed["crop_mode"],
            "mean": fed["mean"],
            "std": fed["std"],
            "pool_size": plan.config.get("pool_size"),
            "first_conv": plan.config.get("first_conv"),
            "classifier": plan.head_name,
            "license": plan.config.get("license"),
        },
        "model_args": dict(plan.keywords),
    }
