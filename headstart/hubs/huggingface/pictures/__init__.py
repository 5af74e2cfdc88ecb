"""Encoders of pictures: ViT, DeiT, Swin, ConvNeXt, DINOv2, ResNet, towers of CLIP and SigLIP."""

from __future__ import annotations

from headstart.contracts import Backbone
from headstart.hubs.huggingface.layout import Layout
from headstart.hubs.huggingface.pictures.families import FAMILIES, WHOLE


def are_read_by(kind: str) -> bool:
    """Whether a network of this kind reads pictures."""
    return kind in FAMILIES or kind in WHOLE


def backbone(layout: Layout) -> Backbone:
    """The encoder of pictures in a folder.

    Raises HeadstartError for options, sizes and processors that can't be used, WeightsError for
    weights that are missing or belong to another network.
    """
    from headstart.hubs.huggingface.pictures import building, planning

    return building.backbone(planning.settle(layout))
