"""The network that strategies prepare and the loop trains, and what passes through it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass
class Batch:
    """Model inputs at the boundary before stage `start`, and their targets."""

    inputs: Any
    targets: Tensor
    start: int = 0


@dataclass
class Step:
    """One forward pass: outputs, mean loss, the pooled features under the head, the targets."""

    outputs: Tensor
    loss: Tensor
    features: Tensor
    targets: Tensor


class Model(nn.Module):
    """A backbone's stages with a head. The unit of freezing is the stage, input side first."""

    def __init__(self, stages: Mapping[str, nn.Module], head: nn.Module) -> None:
        super().__init__()
        self.names = tuple(stages)
        self.stages = nn.ModuleList(stages.values())
        self.head = head

    def features(self, inputs: Any, start: int = 0, stop: int | None = None) -> Any:
        """Run the stages from `start` up to `stop` (exclusive; None: all)."""
        for stage in list(self.stages)[start:stop]:
            inputs = stage(inputs)
        return inputs

    def forward(self, inputs: Any, start: int = 0) -> Tensor:
        """Head outputs (N, labels) for inputs at the boundary before stage `start`."""
        outputs: Tensor = self.head(self.features(inputs, start))
        return outputs

    def backbone_state(self) -> dict[str, Tensor]:
        """The stages' tensors under the names the backbone's own library gives them."""
        return {
            name: tensor for stage in self.stages for name, tensor in stage.state_dict().items()
        }

    def blend(self, start: Mapping[str, Tensor], share: float) -> None:
        """Go part of the way back: `share` of the present weights, the rest of those in `start`.

        `start` is an earlier state of this model. Counters stay as they are.
        """
        with torch.no_grad():
            for name, tensor in self.state_dict().items():
                if tensor.is_floating_point():
                    tensor.lerp_(start[name].to(tensor), 1.0 - share)
