"""torchvision (TorchVision maintainers 2016): its classification networks, with their weights."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import final

import torch
from torch import nn

from headstart.contracts import Backbone, Card, Hub, Origin
from headstart.contracts.references import Reference
from headstart.errors import HeadstartError, WeightsError
from headstart.hubs.torchvision import listing
from headstart.hubs.torchvision.building import Chosen, behead, create, fill
from headstart.hubs.torchvision.planning import Plan, settle
from headstart.loading.stages import find_stages
from headstart.loading.stages.pooling import split_pool
from headstart.loading.weights import digest
from headstart.loading.weights.sizes import check_network


@final
class Torchvision(Hub):
    """Image classification networks by their torchvision name, such as resnet50.

    `@IMAGENET1K_V1` picks one set of weights among several, torchvision's default ones otherwise;
    `@file` loads a state dict from a file. `pretrained=false` gives random weights that follow
    torch's global random state. `size`, `crop` and `interpolation` change the preprocessing;
    `channels` the pictures' channels, with the first layer's weights summed or repeated. Of a file
    with averaged weights these are taken, unless `ema=false`.

    Features are what the last linear layer reads. Auxiliary classifiers are left out. SqueezeNet
    classifies every position before it takes their mean: its features are the mean of what it
    classifies, and no linear head on them equals its own, so it comes without one.
    """

    def cards(self, pattern: str) -> Iterable[Card]:
        """All sets of weights of the networks whose name matches the shell pattern; offline."""
        return listing.cards(pattern)

    def cards_depend_on(self) -> Sequence[str]:
        """What torchvision has, and where torch keeps weights."""
        return "torchvision", "torch", "$TORCH_HOME", "$XDG_CACHE_HOME", "$HOME"

    def load(self, reference: Reference) -> Backbone:
        """Build the network, fill it, take its head off and find its stages.

        Raises UnknownNameError for a name torchvision doesn't have, HeadstartError for an option it
        can't use, WeightsError for weights that are missing or belong to another network.
        """
        plan = settle(reference)
        channels = int(plan.preprocess["channels"])
        held = None if plan.file is None else plan.file.count
        sides = (channels, plan.size, plan.size)
        check_network(lambda: _without_values(plan, channels), held, plan.what, sides)
        network = _made(plan, channels)
        own, head, notes = behead(network), None, tuple[str, ...]()
        if plan.file is not None:
            source = Chosen(plan.file, plan.source, plan.averaged)
            adapt = channels if "channels" in reference.options else None
            head, notes = fill(network, own, source, plan.resized, adapt)
        example = torch.randn(2, channels, plan.size, plan.size, generator=_still())
        width = _width(plan, network.eval(), example)
        stages, pool = split_pool(find_stages(network, example), example)
        return Backbone(
            stages=stages,
            pool=pool,
            feature_dim=width,
            modality="image",
            preprocess=plan.preprocess,
            origin=_origin(plan, network),
            architecture=Reference(
                "torchvision", reference.name, options={**plan.changes, "pretrained": "false"}
            ),
            head=head,
            head_name=own.name,
            notes=notes,
        )


def _made(plan: Plan, channels: int) -> nn.Module:
    filled = plan.file is not None
    return create(plan.reference.name, plan.size, channels, filled=filled, what=plan.what)


def _without_values(plan: Plan, channels: int) -> nn.Module | None:
    """The network as torch's device meta makes it; None for a RegNet, whose widths are tensors."""
    try:
        return _made(plan, channels)
    except NotImplementedError:
        return None


def _still() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def _width(plan: Plan, network: nn.Module, example: torch.Tensor) -> int:
    """How wide the features are. Raises HeadstartError where there are none."""
    try:
        with torch.no_grad():
            features = network(example)
    except Exception as error:  # sizes that don't fit the architecture fail in as many ways
        raise HeadstartError(
            f"{plan.what} can't read pictures of {plan.size} px ({error}). "
            "Give it another size=, or none."
        ) from error
    if plan.file is not None and not features.isfinite().all():
        raise WeightsError(
            f"{plan.source} holds weights whose features are not finite. Give other weights."
        )
    return int(features.shape[1])


def _origin(plan: Plan, network: nn.Module) -> Origin:
    return Origin(
        reference=str(plan.reference),
        licence=plan.licence,
        trained_on=plan.trained_on,
        weights_hash=digest(network.state_dict()),
        pretrained=plan.file is not None,
    )
