"""Caffe (Jia et al. 2014): networks from its description files, with their weights."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import final

from headstart.contracts import Backbone, Card, Hub
from headstart.contracts.references import Reference
from headstart.errors import HeadstartError
from headstart.hubs.caffe import listing


@final
class Caffe(Hub):
    """Networks for pictures that Caffe describes: `caffe:deploy.prototxt@weights.caffemodel`.

    Without weights, or with `pretrained=false`, they are random by the description's fillers and
    torch's global random state. `@FILE.safetensors` loads what Headstart saved. Both files are
    data: nothing in them is run. The head is the last inner product; what follows it and
    auxiliary heads are left out. A network that classifies every position by a convolution gives
    the mean of what that reads, without a head. Pictures are turned to BGR in the first stage;
    `bgr=false` leaves them RGB. `size`, `channels`, `crop`, `crop_mode`, `interpolation`, `mean`
    and `std` say what the network is fed where the files don't, or otherwise; `head=false` takes
    its answers as features.
    """

    def cards(self, pattern: str) -> Iterable[Card]:
        """The descriptions of networks in this folder, with the weights beside them."""
        return listing.cards(pattern)

    def cards_depend_on(self) -> Sequence[str]:
        """The descriptions and weights in this folder."""
        return "./*.prototxt", "./*.caffemodel"

    def load(self, reference: Reference) -> Backbone:
        """Read both files, make the network, fill it and find its stages.

        Raises HeadstartError where the description can't be used, names a layer that is not
        supported, or says too little; WeightsError for weights that are missing, damaged, or
        belong to another network.
        """
        try:
            from headstart.hubs.caffe.making import backbone
            from headstart.hubs.caffe.planning import settle
        except ModuleNotFoundError as error:
            if not str(error.name).startswith("google"):
                raise
            raise HeadstartError(
                f"{reference} needs the package protobuf, which is not installed. "
                "Run: pip install 'headstart[caffe]'"
            ) from None
        return backbone(settle(reference))
