"""From a settled reference to a backbone."""

from __future__ import annotations

import torch
from torch import nn

from headstart.contracts.backbone import Backbone
from headstart.hubs.keras import applications, filling
from headstart.hubs.keras.building import Built, build, randomise
from headstart.hubs.keras.graph import plain
from headstart.hubs.keras.modules import WithoutChannels
from headstart.hubs.keras.planning import NETWORK, KerasSpec
from headstart.loading import head_removal
from headstart.loading.head_removal import Headless
from headstart.loading.layer_graph import BlueFirst
from headstart.loading.stages.remembered import stages_and_pool


def backbone(spec: KerasSpec) -> Backbone:
    """Translate the network, fill it, take its head off and find its stages.

    Raises HeadstartError for what can't be translated, WeightsError for weights that don't fit.
    """
    example = head_removal.example(spec.preprocess)
    built = build(
        spec.graph,
        example,
        spec.what,
        keras=(applications.open_code, applications.does_nothing),
        behead=spec.options.head,
        front=_front(spec, spec.preprocess["channels"]),
    )
    head_name = plain(built.head.name) if built.head else head_removal.free_name(built.network)
    head = _fill(spec, built, head_name)
    pretrained = spec.file is not None or spec.tensors is not None
    network = built.network.eval()
    if pretrained:
        with torch.no_grad():
            features = network(example)
        head_removal.demand_finite(features, spec.tensors or (spec.file and spec.file.path))
    published = spec.application if pretrained and spec.reference.weights is None else None
    head = head if built.classifies else None
    stages, pool = stages_and_pool(network, example)
    return head_removal.backbone(
        Headless(network, stages, built.feature_dim, head, head_name, pool=pool),
        spec.reference,
        architecture=spec.architecture,
        pretrained=pretrained,
        preprocess=spec.preprocess,
        files={NETWORK: spec.content} if spec.content else {},
        terms=(published.licence, published.trained_on) if published else (None, None),
    )


def _front(spec: KerasSpec, channels: int) -> nn.Module:
    """What turns pictures into what the network reads."""
    if spec.application is not None and spec.application.blue_first and channels == 3:
        return BlueFirst()
    return WithoutChannels() if len(spec.graph.shape) == 2 else nn.Identity()


def _fill(spec: KerasSpec, built: Built, head_name: str) -> nn.Linear | None:
    """Set all weights, from a file or by chance; the head that comes with them, if any."""
    if spec.tensors is not None:
        found = Headless(built.network, {}, built.feature_dim, None, head_name)
        return head_removal.fill(found, spec.tensors)[0]
    if spec.file is None:
        randomise(built)
        return None
    head = filling.from_keras(built, spec.graph, spec.file)
    if spec.application is not None and spec.application.family == "EfficientNet":
        filling.square_deviations(built)
    return head
