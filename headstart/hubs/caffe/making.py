"""The backbone that a plan stands for."""

from __future__ import annotations

import torch

from headstart.contracts import Backbone, Origin
from headstart.errors import WeightsError
from headstart.hubs.caffe.filling import draw, load
from headstart.hubs.caffe.planning import FILE, Plan
from headstart.loading.stages import find_stages
from headstart.loading.stages.pooling import split_pool
from headstart.loading.weights import digest

_HEAD = "head"  # of a network that has none of its own


def backbone(plan: Plan) -> Backbone:
    """Make the network's tensors, fill them, and cut the network into stages.

    Raises WeightsError for weights that belong to another network.
    """
    network, taken = plan.built.network.eval(), {node.name for node in plan.selection.nodes}
    own = plan.selection.head
    head_name = own.name if own else _HEAD if _HEAD not in taken else f"caffe_{_HEAD}"
    if plan.state is None:
        draw(plan.built)
        head = None
    else:
        head = load(plan.built, plan.state, head_name, str(plan.reference.weights))
    sides = [plan.preprocess[side] for side in ("channels", "height", "width")]
    example = torch.randn(2, *sides, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        if plan.state is not None and not network(example).isfinite().all():
            raise WeightsError(
                f"{plan.reference.weights} holds weights whose features are not finite. "
                "Give other weights."
            )
    stages, pool = split_pool(find_stages(network, example), example)
    return Backbone(
        stages=stages,
        pool=pool,
        feature_dim=plan.built.feature_dim,
        modality="image",
        preprocess=plan.preprocess,
        origin=Origin(
            reference=str(plan.reference),
            licence=None,
            trained_on=None,
            weights_hash=digest(network.state_dict()),
            pretrained=plan.state is not None,
        ),
        architecture=plan.architecture,
        head=head,
        head_name=head_name,
        files={FILE: plan.content},
    )
