"""From a settled reference to a backbone."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from headstart.contracts.backbone import Backbone, Origin
from headstart.errors import WeightsError
from headstart.hubs.keras import applications, filling
from headstart.hubs.keras.building import Built, build, randomise
from headstart.hubs.keras.graph import plain
from headstart.hubs.keras.modules import BlueFirst, WithoutChannels
from headstart.hubs.keras.planning import NETWORK, Plan
from headstart.loading import head_removal as beheading
from headstart.loading.head_removal import Found
from headstart.loading.stages import find_stages
from headstart.loading.stages.pooling import split_pool
from headstart.loading.weights import digest


def backbone(plan: Plan) -> Backbone:
    """Translate the network, fill it, take its head off and find its stages.

    Raises HeadstartError for what can't be translated, WeightsError for weights that don't fit.
    """
    sides = [plan.preprocess[side] for side in ("channels", "height", "width")]
    example = torch.randn(2, *sides, generator=torch.Generator().manual_seed(0))
    built = build(
        plan.graph,
        example,
        plan.what,
        keras=(applications.open_code, applications.does_nothing),
        behead=plan.settings.head,
        front=_front(plan, sides[0]),
    )
    head_name = plain(built.head.name) if built.head else beheading.free_name(built.network)
    head = _fill(plan, built, head_name)
    pretrained = plan.file is not None or plan.tensors is not None
    if pretrained:
        _check_finite(plan, built.network, example)
    stages, pool = split_pool(find_stages(built.network.eval(), example), example)
    return Backbone(
        stages=stages,
        pool=pool,
        feature_dim=built.feature_dim,
        modality="image",
        preprocess=plan.preprocess,
        origin=_origin(plan, built.network, pretrained),
        architecture=plan.architecture,
        head=head if built.classifies else None,
        head_name=head_name,
        files={NETWORK: plan.content} if plan.content else {},
    )


def _front(plan: Plan, channels: int) -> nn.Module:
    """What turns pictures into what the network reads."""
    if plan.application is not None and plan.application.blue_first and channels == 3:
        return BlueFirst()
    return WithoutChannels() if len(plan.graph.shape) == 2 else nn.Identity()


def _fill(plan: Plan, built: Built, head_name: str) -> nn.Linear | None:
    """Set all weights, from a file or by chance; the head that comes with them, if any."""
    if plan.tensors is not None:
        found = Found(built.network, {}, built.feature_dim, None, head_name, differentiable=True)
        return beheading.fill(found, plan.tensors)[0]
    if plan.file is None:
        randomise(built)
        return None
    head = filling.from_keras(built, plan.graph, plan.file)
    if plan.application is not None and plan.application.family == "EfficientNet":
        filling.square_deviations(built)
    return head


def _check_finite(plan: Plan, network: nn.Module, example: Tensor) -> None:
    with torch.no_grad():
        features = network.eval()(example)
    if not features.isfinite().all():
        source = plan.tensors or (plan.file and plan.file.path)
        raise WeightsError(
            f"{source} holds weights whose features are not finite. Give other weights."
        )


def _origin(plan: Plan, network: nn.Module, pretrained: bool) -> Origin:
    published = pretrained and plan.reference.weights is None
    facts = plan.application if published else None
    return Origin(
        reference=str(plan.reference),
        licence=facts.licence if facts else None,
        trained_on=facts.trained_on if facts else None,
        weights_hash=digest(network.state_dict()),
        pretrained=pretrained,
    )
