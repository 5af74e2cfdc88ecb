"""Keras (Chollet and others 2015): the networks of Keras Applications, and the user's own files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import final

from headstart.contracts import Backbone, Card, Hub
from headstart.contracts.references import Reference
from headstart.hubs.keras import listing
from headstart.loading.refusals import demand_package


@final
class Keras(Hub):
    """Networks for images by their name in Keras Applications, or from a file that Keras saved.

    `keras:ResNet50` takes the published weights from Keras' own cache, or lets Keras fetch them
    there; `@FILE` takes a file of weights, and `pretrained=false` random ones that follow torch's
    global random state. `alpha` and `minimalistic` choose among the MobileNets.

    `keras:FILE.keras` and `keras:FILE.h5` are whole networks of your own, sequential or functional;
    `keras:FILE.json` is one without weights. Unless `mean` and `std` say otherwise they are fed
    values from 0 to 255, in the size that they ask for. `head=false` takes the whole answer as
    features; an answer of maps becomes their mean over positions. Augmenting layers are left out.

    Networks are translated into modules of torch, layer by layer; Keras itself only says how its
    own networks are built. So nothing in a file runs, but for Lambda layers: they are code, and
    need `trust=true`, or HEADSTART_TRUST as in `file:`. Layers that are not known are refused.

    `size`, `channels`, `crop`, `crop_mode`, `interpolation`, `mean` and `std` say what the network
    is fed.
    """

    def cards(self, pattern: str) -> Iterable[Card]:
        """The networks of Keras Applications by shell pattern, in any case; Keras stays asleep."""
        return listing.cards(pattern)

    def cards_depend_on(self) -> Sequence[str]:
        """Where Keras keeps weights."""
        return "$KERAS_HOME", "$HOME"

    def load(self, reference: Reference) -> Backbone:
        """Translate the network, fill it, take its head off and find its stages.

        Raises UnknownNameError for a name Keras doesn't have, HeadstartError for options, layers
        and code that can't be used, WeightsError for weights that are missing, unsafe, or belong to
        another network.
        """
        demand_package("h5py", reference, "keras")
        from headstart.hubs.keras.planning import backbone, settle

        return backbone(settle(reference))
