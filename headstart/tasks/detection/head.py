"""The last layers of a detector: from maps of one or several scales to boxes.

At each place of a map stand a box, whether there is an object, and of which class it is (YOLOX, Ge
et al. 2021, without anchors).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final, cast, final

import torch
from torch import Tensor, nn

from headstart.contracts.detector import DetectorHead
from headstart.contracts.levels import Level
from headstart.contracts.suppression import rows, surest
from headstart.tasks.detection.losses import loss_of

_ALONE: Final = 0.6  # overlap above which only the surer one of two boxes of a class stays
_LEAST: Final = 0.003  # score
_LOOKED: Final = 1000  # boxes that are compared with each other
_RARE: Final = 0.01  # how likely an untrained layer says there is an object
_USUAL: Final = 4.0  # steps of a side that a scale is first asked about, as in FCOS
_WIDEST: Final = 8.0  # natural logarithm of a side, in steps
_WIDTH: Final = 96  # channels of the layers over a trunk that was made for something else
_ROLES: Final = ("reg", "obj", "cls")


@final
class DetectionHead(DetectorHead, nn.Module):
    """Layers of 1x1 for each scale, what they say as boxes, and which of these stay."""

    def __init__(self, levels: Sequence[Level], classes: int) -> None:
        super().__init__(classes)
        self.strides = [level.stride for level in levels]
        self.reads = [dict(level.reads) for level in levels]
        self.towers = nn.ModuleList(_tower(level) for level in levels)
        self.layers = nn.ModuleList(_layers(level, classes) for level in levels)

    def loss(self, maps: Mapping[str, Tensor], targets: Tensor) -> Tensor:
        """The losses of boxes, objects and classes."""
        outputs, places = self.raw(maps)
        return loss_of(outputs, places, targets, self.side(maps))

    def raw(self, maps: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """What is said at each place, (N, P, 5 + C), and the places (P, 3): middle, and step.

        Boxes are corners in pixels; all else is as it comes, before any sigmoid.
        """
        outputs, places = [], []
        levels = zip(self.strides, self.reads, self.towers, self.layers, strict=True)
        for stride, reads, tower, layers in levels:
            hidden = {name: tower(maps[name]) for name in dict.fromkeys(reads.values())}
            own = [layers.get_submodule(role)(hidden[reads[role]]) for role in _ROLES]
            height, width = own[0].shape[2:]
            down, across = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
            corner = torch.stack([across, down], 2).reshape(-1, 2).to(own[0])
            flat = torch.cat(own, 1).flatten(2).transpose(1, 2)
            middle = (flat[..., :2] + corner) * stride
            half = flat[..., 2:4].clamp(max=_WIDEST).exp() * stride / 2
            outputs.append(torch.cat([middle - half, middle + half, flat[..., 4:]], 2))
            steps = torch.full_like(corner[:, :1], stride)
            places.append(torch.cat([(corner + 0.5) * stride, steps], 1))
        return torch.cat(outputs, 1), torch.cat(places)

    def side(self, maps: Mapping[str, Tensor]) -> int:
        """The longer side of the pictures that these maps are of, in pixels."""
        first = maps[self.reads[0]["reg"]]
        return self.strides[0] * max(first.shape[2:])

    def forward(self, maps: Mapping[str, Tensor]) -> Tensor:
        """Maps (N, C, h, w) by name -> boxes (N, MOST * 6), the surest first, zeros behind them.

        Of each its corners in units of the longer side, its score and the number of its class.
        """
        outputs, _ = self.raw(maps)
        scores = (outputs[..., 4:5].sigmoid() * outputs[..., 5:].sigmoid()) ** self.powers
        corners = outputs[..., :4] / self.side(maps)
        return rows(surest(corners, scores, _LOOKED), _ALONE, _LEAST)

    def in_graph(self, maps: Mapping[str, Tensor]) -> Tensor:
        """The same."""
        return self(maps)  # type: ignore[no-any-return]  # torch says so of every call


def _tower(level: Level) -> nn.Module:
    """Two convolutions over maps that were not made for boxes; nothing over others."""
    if not level.bare:
        return nn.Identity()
    parts: list[nn.Module] = []
    for inputs, size in ((level.channels["cls"], 1), (_WIDTH, 3)):
        parts += [nn.Conv2d(inputs, _WIDTH, size, padding=size // 2), nn.GroupNorm(8, _WIDTH)]
        parts += [nn.SiLU()]
    return nn.Sequential(*parts)


def _layers(level: Level, classes: int) -> nn.ModuleDict:
    """One scale's layers, as they were pretrained but for the classes."""
    layers = nn.ModuleDict()
    for role, outputs in zip(_ROLES, (4, 1, classes), strict=True):
        layer = nn.Conv2d(_WIDTH if level.bare else level.channels[role], outputs, 1)
        pretrained = level.layers.get(role) if role != "cls" else None
        if pretrained is not None:
            layer.load_state_dict({"weight": pretrained[0], "bias": pretrained[1]})
        else:
            nn.init.normal_(layer.weight, std=0.0 if role == "cls" else 0.01)
            bias = -math.log(1 / _RARE - 1) if role == "obj" else 0.0
            nn.init.constant_(cast(nn.Parameter, layer.bias), bias)
            if role == "reg":  # as boxes of a place's own size overlap no object
                nn.init.constant_(cast(nn.Parameter, layer.bias)[2:], math.log(_USUAL))
        layers[role] = layer
    return layers
