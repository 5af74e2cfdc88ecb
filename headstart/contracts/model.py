"""The network that strategies prepare and the loop trains, and what passes through it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import torch
from torch import Tensor, nn

from headstart.contracts.maps import Tapped

if TYPE_CHECKING:
    from headstart.contracts.backbone import Backbone


@dataclass
class Batch:
    """Model inputs at the boundary before stage `start`, and their targets.

    `inputs` is one tensor (N, …) or a mapping of them. Targets of unlabelled items are (N, 0).
    """

    inputs: Any
    targets: Tensor
    start: int = 0


@dataclass
class Step:
    """One forward pass: outputs, mean loss, the pooled features under the head, the targets.

    Of unlabelled items the loss is 0 and targets are (N, 0).
    """

    outputs: Tensor
    loss: Tensor
    features: Tensor
    targets: Tensor


@final
class PooledStage(nn.Sequential):
    """The last stage and the pooling behind it: features (N, D)."""


@final
class SideBySide(nn.Module):
    """Heads on the same features, whose outputs stand side by side.

    Where they are `uncertain`, the logarithm of each loss' variance is learned with them.
    """

    def __init__(self, heads: Iterable[nn.Module], uncertain: bool = False) -> None:
        super().__init__()
        for place, head in enumerate(heads):
            self.add_module(str(place), head)
        count = len(list(self.children()))
        self.variances = nn.Parameter(torch.zeros(count)) if uncertain else None

    def weighed(self, losses: Tensor) -> Tensor:
        """The mean of the heads' losses (heads,), by their variances where these are learned."""
        if self.variances is not None:
            losses = torch.exp(-self.variances) * losses + self.variances
        return losses.mean()

    def forward(self, features: Tensor) -> Tensor:
        """Outputs (N, all labels) for features (N, D)."""
        return torch.cat([head(features) for head in self.children()], dim=1)


class Model(nn.Module):
    """A backbone's stages, the pooling behind them, and a head.

    The unit of freezing is the stage, input side first; the pooling is frozen with the last one.
    What a stage answers, and the next takes, is one tensor or a mapping of tensors.
    """

    def __init__(
        self, stages: Mapping[str, nn.Module], head: nn.Module, pool: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.names = tuple(stages)
        self.stages = nn.ModuleList(stages.values())
        self.pool = nn.Identity() if pool is None else pool
        self.head = head

    @classmethod
    def of(cls, backbone: Backbone, head: nn.Module) -> Model:
        """A backbone under a head; it shares the backbone's modules."""
        return cls(backbone.unpooled(), head, backbone.pool)

    def with_head(self, head: nn.Module) -> Model:
        """The same stages and pooling, shared, under another head."""
        return Model(dict(zip(self.names, self.stages, strict=True)), head, self.pool)

    def body(self) -> nn.Sequential:
        """All but the head, as one network that gives pooled features."""
        return nn.Sequential(*with_pool(self.stages, self.pool))

    def features(
        self, inputs: Any, start: int = 0, stop: int | None = None, pooled: bool = True
    ) -> Any:
        """Run the stages from `start` up to `stop` (exclusive; None: all).

        After the last one come the pooled features (N, D), or what is pooled, feature maps or
        token states, where `pooled` is False. The boundary behind all stages is that of pooled
        features: from there on nothing is left to run, and raises ValueError if not `pooled`.
        """
        stages = list(self.stages)[start:stop]
        if not stages and start and not pooled:
            raise ValueError("what is stored behind the last stage is pooled")
        for stage in stages:
            inputs = stage(inputs)
        last = stages and (stop is None or stop >= len(self.stages))
        return self.pool(inputs) if last and pooled else inputs

    def forward(self, inputs: Any, start: int = 0) -> Tensor:
        """Head outputs (N, labels) for inputs at the boundary before stage `start`."""
        outputs: Tensor = self.head(self.features(inputs, start))
        return outputs

    def backbone_state(self) -> dict[str, Tensor]:
        """The tensors of stages and pooling under the names the backbone's own library gives."""
        whole = (*self.stages, self.pool)
        parts = [part.stage if isinstance(part, Tapped) else part for part in whole]
        return {name: tensor for part in parts for name, tensor in part.state_dict().items()}

    def blend(self, start: Mapping[str, Tensor], share: float) -> None:
        """Go part of the way back: `share` of the present weights, the rest of those in `start`.

        `start` is an earlier state of this model. Counters stay as they are.
        """
        with torch.no_grad():
            for name, tensor in self.state_dict().items():
                if tensor.is_floating_point():
                    tensor.lerp_(start[name].to(tensor), 1.0 - share)


def with_pool(stages: Iterable[nn.Module], pool: nn.Module) -> list[nn.Module]:
    """Stages and the pooling behind them, where there is any."""
    return [*stages] if isinstance(pool, nn.Identity) else [*stages, pool]
