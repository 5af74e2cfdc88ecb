"""torchvision (TorchVision maintainers 2016): its classification networks, with their weights."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import final

import torch
from torch import nn

from headstart.contracts import Backbone, Card, Hub
from headstart.contracts.references import Reference
from headstart.errors import HeadstartError
from headstart.hubs.torchvision import listing
from headstart.hubs.torchvision.building import Chosen, behead, create, fill
from headstart.hubs.torchvision.planning import TorchvisionSpec, settle
from headstart.loading import head_removal
from headstart.loading.head_removal import Headless
from headstart.loading.stages.remembered import stages_and_pool
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
        spec = settle(reference)
        channels = int(spec.preprocess["channels"])
        held = None if spec.file is None else spec.file.count
        sides = (channels, spec.size, spec.size)
        check_network(lambda: _without_values(spec, channels), held, spec.what, sides)
        network = _made(spec, channels)
        own, head, notes = behead(network), None, tuple[str, ...]()
        if spec.file is not None:
            source = Chosen(spec.file, spec.source, spec.options.ema)
            adapt = channels if "channels" in reference.options else None
            head, notes = fill(network, own, source, spec.resized, adapt)
        example = head_removal.example(spec.preprocess)
        width = _width(spec, network.eval(), example)
        stages, pool = stages_and_pool(network, example)
        return head_removal.backbone(
            Headless(network, stages, width, head, own.name, notes=notes, pool=pool),
            reference,
            architecture=spec.rebuilt(spec.changes),
            pretrained=spec.file is not None,
            preprocess=spec.preprocess,
            terms=(spec.licence, spec.trained_on),
        )


def _made(spec: TorchvisionSpec, channels: int) -> nn.Module:
    filled = spec.file is not None
    return create(spec.reference.name, spec.size, channels, filled=filled, what=spec.what)


def _without_values(spec: TorchvisionSpec, channels: int) -> nn.Module | None:
    """The network as torch's device meta makes it; None for a RegNet, whose widths are tensors."""
    try:
        return _made(spec, channels)
    except NotImplementedError:
        return None


def _width(spec: TorchvisionSpec, network: nn.Module, example: torch.Tensor) -> int:
    """How wide the features are. Raises HeadstartError where there are none."""
    try:
        with torch.no_grad():
            features = network(example)
    except Exception as error:  # sizes that don't fit the architecture fail in as many ways
        raise HeadstartError(
            f"{spec.what} can't read pictures of {spec.size} px ({error}). "
            "Give it another size=, or none."
        ) from error
    if spec.file is not None:
        head_removal.demand_finite(features, spec.source)
    return int(features.shape[1])
