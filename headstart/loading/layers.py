"""A backbone whose features are those of one of its middle layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, final

import torch
from torch import Tensor, nn

from headstart.contracts import Backbone
from headstart.errors import HeadstartError, UnknownNameError
from headstart.loading import head_removal
from headstart.loading.sounds.windows import Windowed, WindowMean
from headstart.loading.variants import LAYER
from headstart.loading.weights import digest


@final
class PositionMean(nn.Module):
    """The mean over positions: of maps, tokens, or tokens with a mask."""

    def __init__(self, axis: int = 1) -> None:
        super().__init__()
        self.axis = axis  # that of the channels, where there is no mask

    def forward(self, values: Any) -> Tensor:
        """(N, …), or `hidden` (N, T, D) with its `mask` (N, T) -> (N, D)."""
        if isinstance(values, Mapping):
            hidden = values["hidden"]
            share = values["mask"].unsqueeze(-1).to(hidden.dtype)
            mean: Tensor = torch.sum(hidden * share, dim=1) / share.sum(dim=1).clamp(min=1)
            return mean
        features: Tensor = values
        if values.dim() > 2:
            features = values.movedim(self.axis, 1).flatten(2).mean(2)
        return features


def cut_at(backbone: Backbone, layer: str) -> Backbone:
    """The backbone up to the stage `layer`, behind which positions are averaged; it shares modules.

    Raises UnknownNameError for a name that is no stage before
    the last, and HeadstartError for one that hands over several tensors.
    """
    stages, names = backbone.unpooled(), list(backbone.stages)
    if layer not in names[:-1]:
        raise UnknownNameError(f"layer of {backbone.origin.reference}", layer, names[:-1])
    place = names.index(layer) + 1
    front = {name: stages[name] for name in names[:place]}
    with torch.no_grad():
        values = nn.Sequential(*front.values()).eval()(example(backbone))
    pool = _pool(values, stages[names[place]], backbone, layer)
    with torch.no_grad():
        width = pool(values).shape[1]
    parts = [*front.values(), pool]
    tensors = {name: tensor for part in parts for name, tensor in part.state_dict().items()}
    return replace(
        backbone,
        stages=front,
        pool=pool,
        feature_dim=width,
        origin=replace(backbone.origin, weights_hash=digest(tensors)),
        architecture=backbone.architecture.with_options(**{LAYER: layer}),
        head=None,
        library="",
        native={},
        folders={},
        layers=(),
    )


def example(backbone: Backbone) -> Any:
    """A batch of two items of nothing in particular, as the backbone is fed.

    Raises HeadstartError for a modality of another package.
    """
    fed = backbone.preprocess
    if backbone.modality == "audio":
        noise = torch.randn(2, 1, fed["window"], generator=torch.Generator().manual_seed(0))
        return {"hidden": noise * 0.1 * fed.get("scale", 1.0), "mask": torch.ones(2, 1).long()}
    if "max_length" in fed:
        ids = torch.zeros(2, 2, dtype=torch.int64)
        batch = {"input_ids": ids, "mask": torch.ones_like(ids)}
        return batch | ({"types": ids} if fed.get("types") else {})
    if not fed.keys() >= {"channels", "height", "width"}:
        raise HeadstartError(
            f"{backbone.origin.reference} is made for {backbone.modality}, of which no batch can "
            "be made up. Leave layer= out."
        )
    return head_removal.example(fed)


def _pool(values: Any, following: nn.Module, backbone: Backbone, layer: str) -> nn.Module:
    """What makes features of a stage's answers."""
    if isinstance(following, Windowed):
        return WindowMean(PositionMean(_axis(following.shape)), following.shape)
    if isinstance(values, Mapping) and {"hidden", "mask"} <= values.keys():
        return PositionMean()
    if isinstance(values, Tensor) and values.dim() in (2, 3, 4):
        return PositionMean(_axis(values.shape[1:]))
    raise HeadstartError(
        f"{backbone.origin.reference} hands over several tensors at {layer}, of which no features "
        f"are made. Name another of {', '.join(list(backbone.stages)[:-1])}."
    )


def _axis(sides: Any) -> int:
    """The axis of channels: tokens (T, D) have them last, and maps where their sides differ."""
    if len(sides) != 3:
        return len(sides)
    first, middle, last = sides
    return 3 if first == middle != last else 1
