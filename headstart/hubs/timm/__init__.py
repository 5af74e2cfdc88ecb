"""PyTorch Image Models (Wightman 2019): VGG, ResNet, MobileNet, ViT and some 1,300 more."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, final

import torch
from torch import Tensor, nn

from headstart.contracts import Backbone, Card, Hub
from headstart.contracts.references import Reference
from headstart.hubs.timm import listing, recipe
from headstart.hubs.timm.building import (
    Filled,
    behead,
    create,
    from_file,
    from_hub,
    without_values,
)
from headstart.hubs.timm.library import timm
from headstart.hubs.timm.planning import TimmSpec, settle
from headstart.loading import head_removal
from headstart.loading.preprocess import difference
from headstart.loading.weights import names_file
from headstart.loading.weights.sizes import check_network


@final
class Timm(Hub):
    """Image models by their timm name, with a tag for one of several sets of weights.

    `@file` loads local weights, `@revision` a revision on the Hugging Face hub; `pretrained=false`
    gives random weights that follow torch's global random state. `size`, `channels`, `crop`,
    `crop_mode`, `interpolation`, `mean` and `std` change the preprocessing; every other option goes
    to `timm.create_model`. A weights file may state its options in its safetensors header, or in
    the config.json that timm writes beside it; `timm:local-dir:FOLDER` is such a folder. Of a file
    with averaged weights these are taken, unless `ema=false`.
    """

    def cards(self, pattern: str) -> Iterable[Card]:
        """All models whose name matches the shell pattern, with and without weights; offline."""
        return listing.cards(pattern)

    def cards_depend_on(self) -> Sequence[str]:
        """What timm has, where the Hub's cache is, and the parameters counted so far."""
        return listing.looked_at()

    def sources(self, reference: Reference) -> Sequence[str] | None:
        """The file after @, or the one in the Hub's cache."""
        if reference.weights is not None and names_file(reference.weights):
            return [reference.weights]
        config = timm.get_pretrained_cfg(reference.name)
        if config is None or config.custom_load:
            return None
        cached = listing.at_hand(config.to_dict(), reference.weights)
        return None if cached is None else [str(cached)]

    def resolve(self, reference: Reference) -> Reference:
        """The architecture and weights of a folder that timm saved; any other stays as it is.

        Raises WeightsError where the folder isn't one of timm.
        """
        if not recipe.is_folder(reference.name):
            return reference
        folder, config = recipe.of_folder(reference.name)
        weights = reference.weights or str(folder)
        return Reference("timm", config.architecture, weights, reference.options)

    def load(self, reference: Reference) -> Backbone:
        """Build the network, fill it, take its head off and find its stages.

        Raises UnknownNameError for a name timm doesn't have, HeadstartError for an option it can't
        use, WeightsError for weights that are missing or belong to another network.
        """
        spec = settle(reference)
        sides = [spec.preprocess[side] for side in ("channels", "height", "width")]
        count = None if spec.file is None else spec.file.count
        check_network(lambda: without_values(spec), count, spec.what, sides)
        if spec.file is not None:
            return _backbone(spec, from_file(spec, spec.file))
        pretrained = reference.option("pretrained", True)
        return _backbone(spec, Filled(from_hub(spec) if pretrained else create(spec)))


def _backbone(spec: TimmSpec, filled: Filled) -> Backbone:
    network, head = filled.network, filled.head
    example = head_removal.example(spec.preprocess)
    logits = _run(spec, network, example) if spec.pretrained and head is None else None
    native = _native(spec) if _is_linear(network, spec.head_name) else {}
    own_head = behead(network)
    features = _run(spec, network, example)
    if own_head is not None and logits is not None and _fits(own_head, features, logits):
        head = own_head
    backbone = head_removal.backbone(
        head_removal.headless(network, example, features, head, spec.head_name, filled.notes),
        spec.reference,
        architecture=_architecture(spec),
        pretrained=spec.pretrained,
        preprocess=spec.preprocess,
        terms=_terms(spec),
    )
    return replace(backbone, library="timm" if native else "", native=native)


def _run(spec: TimmSpec, network: nn.Module, example: Tensor) -> Tensor:
    advice = "Give it another size=, or none; leave out global_pool and the like."
    return head_removal.run(network.eval(), example, spec.what, advice)


def _is_linear(network: nn.Module, name: str) -> bool:
    """Whether timm's own head is one linear layer, so that ours can take its place."""
    head = dict(network.named_modules()).get(name)
    own = network.get_classifier()  # type: ignore[operator]  # every timm model has it
    return isinstance(head, nn.Linear) and head is own


def _fits(head: nn.Module, features: Tensor, logits: Tensor) -> bool:
    """Whether the head that was taken off still gives the network's outputs."""
    try:
        with torch.no_grad():
            return torch.allclose(head.eval()(features), logits, atol=1e-4, rtol=1e-3)
    except (RuntimeError, TypeError, AttributeError):  # a head that wants maps, or two inputs
        return False


def _terms(spec: TimmSpec) -> tuple[str | None, str | None]:
    """The licence of the weights, and what they were trained on."""
    if spec.file is None:
        config = spec.config if spec.pretrained else {}
        return config.get("license"), listing.trained_on(config)
    licence, trained_on = spec.file.terms
    stated = spec.beside.config.get("license") if spec.beside else None
    return licence or (stated if isinstance(stated, str) else None), trained_on


def _architecture(spec: TimmSpec) -> Reference:
    keywords = {
        name: recipe.text(value)
        for name, value in spec.keywords.items()
        if name not in ("in_chans", "img_size")
    }
    if "img_size" in spec.keywords and spec.keywords["img_size"] != spec.preprocess["height"]:
        keywords["img_size"] = recipe.text(spec.keywords["img_size"])
    options = {**keywords, **difference(spec.preprocess, spec.own)}
    return spec.rebuilt(options)


def _native(spec: TimmSpec) -> dict[str, Any]:
    """What timm reads as config.json from a local folder; the artifact fills in the labels."""
    fed = spec.preprocess
    return {
        "num_classes": 0,
        "label_names": [],
        "architecture": spec.reference.name.partition(".")[0],
        "pretrained_cfg": {
            "input_size": [fed["channels"], fed["height"], fed["width"]],
            "fixed_input_size": bool(spec.config.get("fixed_input_size")),
            "interpolation": fed["interpolation"],
            "crop_pct": fed["crop"],
            "crop_mode": fed["crop_mode"],
            "mean": fed["mean"],
            "std": fed["std"],
            "pool_size": spec.config.get("pool_size"),
            "first_conv": spec.config.get("first_conv"),
            "classifier": spec.head_name,
            "license": spec.config.get("license"),
        },
        "model_args": dict(spec.keywords),
    }
