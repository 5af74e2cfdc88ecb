"""PyTorch Image Models (Wightman 2019): VGG, ResNet, MobileNet, ViT and some 1,300 more."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, final

import torch
from torch import Tensor, nn

from headstart.contracts import Backbone, Card, Hub
from headstart.contracts.references import Reference
from headstart.errors import HeadstartError
from headstart.hubs.timm import listing, recipe, saved
from headstart.hubs.timm.building import (
    behead,
    create,
    from_file,
    from_hub,
    without_values,
)
from headstart.hubs.timm.planning import TimmSpec, settle
from headstart.loading import head_removal
from headstart.loading.head_removal import Headless
from headstart.loading.stages.remembered import stages_and_pool
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

    def resolve(self, reference: Reference) -> Reference:
        """The architecture and weights of a folder that timm saved; any other stays as it is.

        Raises WeightsError where the folder isn't one of timm.
        """
        if not saved.is_folder(reference.name):
            return reference
        folder, found = saved.of_folder(reference.name)
        weights = reference.weights or str(folder)
        return Reference("timm", found.architecture, weights, reference.options)

    def load(self, reference: Reference) -> Backbone:
        """Build the network, fill it, take its head off and find its stages.

        Raises UnknownNameError for a name timm doesn't have, HeadstartError for an option it can't
        use, WeightsError for weights that are missing or belong to another network.
        """
        spec = settle(reference)
        sides = [spec.preprocess[side] for side in ("channels", "height", "width")]
        held = None if spec.file is None else spec.file.count
        check_network(lambda: without_values(spec), held, spec.what, sides)
        if spec.file is not None:
            filled = from_file(spec, spec.file)
            loaded = _backbone(spec, filled.network, filled.head)
            loaded.notes = filled.notes
            return loaded
        if reference.option("pretrained", True):
            return _backbone(spec, from_hub(spec))
        return _backbone(spec, create(spec))


def _backbone(spec: TimmSpec, network: nn.Module, head: nn.Module | None = None) -> Backbone:
    example = head_removal.example(spec.preprocess)
    network.eval()
    before = _outputs(spec, network, example) if spec.pretrained and head is None else None
    native = _native(spec) if _is_linear(network, spec.head_name) else {}
    own_head = behead(network)
    features = _outputs(spec, network, example)
    if features.dim() != 2:
        raise HeadstartError(
            f"{spec.what} gives features of shape {list(features.shape[1:])} an item, not one row. "
            "Leave out global_pool and the like."
        )
    if own_head is not None and before is not None and _fits(own_head, features, before):
        head = own_head
    stages, pool = stages_and_pool(network, example)
    made = head_removal.backbone(
        Headless(network, stages, features.shape[1], head, spec.head_name, pool=pool),
        spec.reference,
        architecture=_architecture(spec),
        pretrained=spec.pretrained,
        preprocess=spec.preprocess,
        terms=_terms(spec),
    )
    return replace(made, library="timm" if native else "", native=native)


def _outputs(spec: TimmSpec, network: nn.Module, example: Tensor) -> Tensor:
    try:
        with torch.no_grad():
            outputs: Tensor = network(example)
    except Exception as error:  # sizes that don't fit the architecture fail in as many ways
        raise HeadstartError(
            f"{spec.what} can't read pictures of {'x'.join(map(str, example.shape[1:]))} "
            f"({error}). Give it another size=, or none."
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


def _terms(spec: TimmSpec) -> tuple[str | None, str | None]:
    """The licence of the weights, and what they were trained on."""
    if spec.file is None:
        known = spec.config if spec.pretrained else {}
        return known.get("license"), listing.trained_on(known)
    header = spec.file.metadata
    stated = spec.beside.config.get("license") if spec.beside else None
    licence = header.get("licence") or header.get("license")
    return licence or (stated if isinstance(stated, str) else None), header.get("trained_on")


def _architecture(spec: TimmSpec) -> Reference:
    keywords = {
        name: recipe.text(value)
        for name, value in spec.keywords.items()
        if name not in ("in_chans", "img_size")
    }
    if "img_size" in spec.keywords and spec.keywords["img_size"] != spec.preprocess["height"]:
        keywords["img_size"] = recipe.text(spec.keywords["img_size"])
    options = {**keywords, **recipe.difference(spec.preprocess, spec.own)}
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
