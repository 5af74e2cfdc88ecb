"""Feature maps of several stages, by name, for heads that read places and not rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

import torch
from torch import Tensor, nn


@final
class Tapped(nn.Module):
    """A stage whose answer is also kept as a map under a name, with those kept before it.

    Its tensors go by the stage's own names, so that it is saved as that is. Maps are (N, C, h, w);
    tokens (N, T, C) of a square, behind any others, become one. The last one answers maps alone.
    """

    def __init__(self, stage: nn.Module, kept_as: str, last: bool) -> None:
        super().__init__()
        self.stage, self.kept_as, self.last = stage, kept_as, last

    def forward(self, inputs: Any) -> dict[str, Tensor]:
        """Pictures, or what the stage before answered -> maps by name, and `on` for the next."""
        maps = dict(inputs) if isinstance(inputs, Mapping) else {"on": inputs}
        values = maps["on"] = self.stage(maps["on"])
        if self.kept_as:
            maps[self.kept_as] = as_map(values)
        if self.last:
            del maps["on"]
        return maps


def as_map(values: Tensor) -> Tensor:
    """Maps (N, C, h, w) as they are; tokens (N, T, C), whose last are a square, as such."""
    if values.dim() == 4:
        return values
    side = int(values.shape[1] ** 0.5)
    square = values[:, values.shape[1] - side * side :].transpose(1, 2)
    return square.reshape(*square.shape[:2], side, side)


@final
class MeanOfMaps(nn.Module):
    """The means of all maps over their places, side by side."""

    def forward(self, maps: Mapping[str, Tensor]) -> Tensor:
        """Maps (N, C, h, w) by name -> (N, all channels)."""
        return torch.cat([maps[name].mean((2, 3)) for name in sorted(maps)], dim=1)
