"""Building a torchvision detector, and filling it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from torch import Tensor, nn

from headstart.hubs.torchvision.detectors.head import TorchvisionHead
from headstart.hubs.torchvision.detectors.planning import DetectorSpec
from headstart.hubs.torchvision.library import models
from headstart.loading.weights import apart, load_into

_TRUNK: Final = "backbone"


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
