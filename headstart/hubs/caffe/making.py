"""The backbone that a reference to a network of Caffe stands for."""

from __future__ import annotations

import torch

from headstart.contracts import Backbone
from headstart.hubs.caffe.filling import draw, load
from headstart.hubs.caffe.planning import FILE, CaffeSpec
from headstart.loading import head_removal
from headstart.loading.stages.remembered import stages_and_pool

_HEAD = "head"  # of a network that has none of its own


def backbone(spec: CaffeSpec) -> Backbone:
    """Make the network's tensors, fill them, and cut the network into stages.

    Raises WeightsError for weights that belong to another network.
    """
    network, taken = spec.built.network, {node.name for node in spec.selection.nodes}
    own = spec.selection.head
    head_name = own.name if own else _HEAD if _HEAD not in taken else f"caffe_{_HEAD}"
    head, source = None, str(spec.reference.weights)
    if spec.state is None:
        draw(spec.built)
    else:
        head = load(spec.built, spec.state, head_name, source)
    example = head_removal.example(spec.preprocess)
    with torch.no_grad():
        features = network.eval()(example)
    if spec.state is not None:
        head_removal.demand_finite(features, source)
    parts = stages_and_pool(network, example)
    width = spec.built.feature_dim
    return head_removal.backbone(
        head_removal.Headless(network, parts[0], width, head, head_name, pool=parts[1]),
        spec.reference,
        architecture=spec.architecture,
        pretrained=spec.state is not None,
        preprocess=spec.preprocess,
        files={FILE: spec.content},
    )
