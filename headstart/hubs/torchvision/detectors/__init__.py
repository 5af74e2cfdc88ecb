"""torchvision's detectors: the trunk and the neck as stages, and all behind them as the head.

Liu et al. 2016 (SSD), Lin et al. 2017 (feature pyramids, RetinaNet), Ren et al. 2015 (Faster
R-CNN), Tian et al. 2019 (FCOS), Howard et al. 2019 (SSDlite). Mask R-CNN (He et al. 2017) is read
as the Faster R-CNN that it holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

import torch
from torch import Tensor, nn

from headstart.contracts import Backbone, Origin
from headstart.contracts.maps import MeanOfMaps
from headstart.contracts.references import Reference
from headstart.errors import HeadstartError, reason
from headstart.hubs.torchvision.detectors.head import TorchvisionHead
from headstart.hubs.torchvision.detectors.parts import stages
from headstart.hubs.torchvision.detectors.planning import DetectorSpec, settle
from headstart.hubs.torchvision.library import models
from headstart.loading import head_removal
from headstart.loading.weights import apart, digest, load_into
from headstart.loading.weights.sizes import check_network

_TRUNK: Final = "backbone"


def backbone(reference: Reference) -> Backbone:
    """The detector's trunk and neck; `detector` makes the rest for the user's classes.

    Raises UnknownNameError, HeadstartError and WeightsError as the hub does.
    """
    spec = settle(reference)
    count = None if spec.file is None else spec.file.count
    check_network(lambda: create(spec, 1), count, spec.what)
    network = create(spec, 1)
    notes = fill(network, spec)
    parts = stages(network.backbone)  # type: ignore[arg-type]  # torch says it may be a tensor
    width = _width(spec, nn.Sequential(*parts.values()).eval())
    tensors = {name: t for part in parts.values() for name, t in part.state_dict().items()}
    return Backbone(
        stages=parts,
        pool=MeanOfMaps(),
        feature_dim=width,
        modality="image",
        preprocess=spec.preprocess,
        origin=Origin(str(reference), *spec.terms, digest(tensors), spec.file is not None),
        architecture=spec.rebuilt({"size": str(spec.size)}),
        library="torchvision",
        native={"architecture": spec.builder, "first_class": spec.first, "label_names": []},
        detector=partial(head, spec),
        notes=notes,
    )


def _width(spec: DetectorSpec, trunk: nn.Module) -> int:
    """How many features its maps have, tried on one picture.

    Raises HeadstartError for a size that it can't read, WeightsError where maps aren't finite.
    """
    try:
        with torch.no_grad():
            maps = trunk(head_removal.example(spec.preprocess)[:1])
    except RuntimeError as error:
        raise HeadstartError(
            f"{spec.what} can't read pictures of {spec.size} px ({reason(error)}). "
            "Give it a larger size=, or none."
        ) from error
    if spec.file is not None:
        for values in maps.values():
            head_removal.demand_finite(values, spec.source)
    return sum(values.shape[1] for values in maps.values())


def create(spec: DetectorSpec, classes: int) -> nn.Module:
    """The detector with random weights, for so many classes beside the background."""
    network: nn.Module = models.get_model(
        spec.builder, weights=None, weights_backbone=None, num_classes=classes + spec.first
    )
    return network


def fill(network: nn.Module, spec: DetectorSpec) -> tuple[str, ...]:
    """Load the trunk's weights, if there are any; answer what is worth saying of them.

    Raises WeightsError for another network's.
    """
    if spec.file is None:
        return ()
    _, body = apart(spec.file.state, _TRUNK)
    load_into(network.get_submodule(_TRUNK), body, spec.source)
    return tuple(spec.file.notes)


def head(spec: DetectorSpec, labels: Sequence[str]) -> TorchvisionHead:
    """All but the trunk, for these classes: pretrained but for what depends on them."""
    network = create(spec, len(labels))
    detector = TorchvisionHead(network, len(labels), spec.first, spec.size)
    if spec.file is not None:
        load_matching(detector.network, spec.file.state)
    return detector


def load_matching(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load the tensors that a network has under the same name in the same shape."""
    own = network.state_dict()
    network.load_state_dict(
        {n: t for n, t in state.items() if n in own and own[n].shape == t.shape}, strict=False
    )
