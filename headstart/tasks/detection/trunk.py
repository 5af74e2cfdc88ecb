"""Any network for whole pictures as the trunk of a detector: maps of some of its stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import torch
from torch import Tensor, nn

from headstart.contracts import Backbone
from headstart.contracts.levels import Level
from headstart.contracts.maps import MeanOfMaps, Tapped, as_map
from headstart.errors import HeadstartError

_COARSEST, _SCALES = 32, 3  # pixels from place to place; maps at most
_SIZE, _LARGE = 320, 160  # px of a side, for networks that see pictures of this size or a larger
_ROLES: Final = ("cls", "reg", "obj")


def with_maps(backbone: Backbone) -> Backbone:
    """The backbone with the last map of each of its three coarsest strides as what it answers.

    Raises HeadstartError where its stages give no maps.
    """
    stages = backbone.unpooled()
    own = max(backbone.preprocess["height"], backbone.preprocess["width"])
    for side in dict.fromkeys((max(own, _SIZE) if own >= _LARGE else own, own)):
        try:
            shapes = _shapes(list(stages.values()), backbone.preprocess["channels"], side)
        except Exception:  # a network of any author fails in any way on another size
            continue
        level_of = _chosen(shapes, side)
        if level_of:
            return _tapped(backbone, stages, shapes, level_of, side)
    raise HeadstartError(
        f"{backbone.origin.reference} gives no maps of places, which boxes are read from. Name a "
        "convolutional network, or a detector."
    )


def _shapes(stages: Sequence[nn.Module], channels: int, side: int) -> list[tuple[int, ...] | None]:
    """What each stage answers as a map (C, h, w); None where it is none."""
    values: Any = torch.zeros(1, channels, side, side)
    shapes: list[tuple[int, ...] | None] = []
    with torch.no_grad():
        for stage in stages:
            values = stage.eval()(values)
            is_map = isinstance(values, Tensor) and values.dim() in (3, 4)
            shapes.append(tuple(as_map(values).shape[1:]) if is_map else None)
    return shapes


def _chosen(shapes: Sequence[tuple[int, ...] | None], side: int) -> dict[int, int]:
    """The last stage of each of the coarsest strides, by the stride."""
    strides = {
        place: side // shape[-1]
        for place, shape in enumerate(shapes)
        if shape is not None and side % shape[-1] == 0 and shape[-1] > 1
    }
    last = {stride: place for place, stride in strides.items() if 1 < stride <= _COARSEST}
    return {stride: last[stride] for stride in sorted(last)[-_SCALES:]}


def _tapped(
    backbone: Backbone,
    stages: Mapping[str, nn.Module],
    shapes: Sequence[tuple[int, ...] | None],
    level_of: Mapping[int, int],
    side: int,
) -> Backbone:
    last = max(level_of.values())
    names = {place: f"map{number}" for number, place in enumerate(sorted(level_of.values()))}
    tapped = {
        name: Tapped(stage, names.get(place, ""), place == last)
        for place, (name, stage) in enumerate(stages.items())
        if place <= last
    }
    levels = []
    for stride, place in sorted(level_of.items()):
        channels = (shapes[place] or (0,))[0]
        reads, widths = dict.fromkeys(_ROLES, names[place]), dict.fromkeys(_ROLES, channels)
        levels.append(Level(stride, reads, widths, bare=True))
    return replace(
        backbone,
        stages=tapped,
        pool=MeanOfMaps(),
        levels=tuple(levels),
        feature_dim=sum(each.channels["cls"] for each in levels),
        preprocess={**backbone.preprocess, "height": side, "width": side, "crop": 1.0}
        | {"crop_mode": "letterbox"},
    )
