"""torchvision (TorchVision maintainers 2016): its classifiers and detectors, with their weights."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import final

from headstart.contracts import Backbone, Card, Hub
from headstart.contracts.references import Reference
from headstart.hubs.torchvision import listing
from headstart.hubs.torchvision.building import OTHER_SIZE, behead, create, fill, without_values
from headstart.hubs.torchvision.planning import settle
from headstart.loading import head_removal
from headstart.loading.weights import names_file
from headstart.loading.weights.sizes import check_network


@final
class Torchvision(Hub):
    """Classifiers and detectors by their torchvision name, such as resnet50 or fcos_resnet50_fpn.

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

    def sources(self, reference: Reference) -> Sequence[str] | None:
        """The file after @; None for torchvision's own weights."""
        weights = reference.weights
        return [weights] if weights is not None and names_file(weights) else None

    def load(self, reference: Reference) -> Backbone:
        """Build the network, fill it, take its head off and find its stages.

        Raises UnknownNameError for a name torchvision doesn't have, HeadstartError for an option it
        can't use, WeightsError for weights that are missing or belong to another network.
        """
        if reference.name in listing.detectors():
            from headstart.hubs.torchvision import detectors

            return detectors.backbone(reference)
        spec = settle(reference)
        count = None if spec.file is None else spec.file.count
        sides = (spec.channels, spec.size, spec.size)
        check_network(lambda: without_values(spec), count, spec.what, sides)
        network, head, notes = create(spec), None, tuple[str, ...]()
        own = behead(network)
        if spec.file is not None:
            head, notes = fill(network, own, spec, spec.file)
        example = head_removal.example(spec.preprocess)
        features = head_removal.run(network.eval(), example, spec.what, OTHER_SIZE)
        if spec.file is not None:
            head_removal.demand_finite(features, spec.source)
        return head_removal.backbone(
            head_removal.headless(network, example, features, head, own.name, notes),
            reference,
            architecture=spec.rebuilt(spec.changes),
            pretrained=spec.file is not None,
            preprocess=spec.preprocess,
            terms=spec.terms,
        )
