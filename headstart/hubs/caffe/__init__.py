"""Caffe (Jia et al. 2014): networks from its description files, with their weights."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final, final

from headstart.contracts import Backbone, Card, Hub
from headstart.contracts.references import Reference
from headstart.loading.refusals import no_package

_LAYER: Final = re.compile(rb"^\s*layers?\s*\{", re.MULTILINE)  # a solver's file has none
_READ: Final = 1 << 16  # bytes, in which a network's first layer is found


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
        """The descriptions of networks in this folder, each with the files that may be its own.

        Those are the weights of its name, or else all beside it.
        """
        for path in sorted(Path().glob("*.prototxt")):
            if not fnmatchcase(path.name, pattern) or not _describes(path):
                continue
            beside = sorted(Path().glob("*.caffemodel"))
            own = [weights for weights in beside if weights.stem == path.stem]
            for end in [f"@{weights.name}" for weights in own or beside] or [""]:
                yield Card(f"caffe:{path.name}{end}", "image", None, "", None, None, True)

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
            from headstart.hubs.caffe.planning import backbone, settle
        except ModuleNotFoundError as error:
            if not str(error.name).startswith("google"):
                raise
            raise no_package("protobuf", reference, "caffe") from None
        return backbone(settle(reference))


def _describes(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return _LAYER.search(file.read(_READ)) is not None
    except OSError:
        return False  # loading it says why
