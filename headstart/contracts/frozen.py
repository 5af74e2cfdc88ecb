"""A backbone as it was loaded, under a head that was fitted to its features: made without torch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias, final

import numpy as np

from headstart.contracts.backbone import Backbone

if TYPE_CHECKING:  # so that frozen features need no torch
    from torch import nn

    from headstart.contracts.model import Model

Network: TypeAlias = "Model | FrozenModel"


@final
@dataclass(frozen=True, eq=False)
class LinearHead:
    """A linear layer as arrays: weight (labels, D) and bias (labels,), float32."""

    weight: np.ndarray
    bias: np.ndarray

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Features (N, D) -> outputs (N, labels) float32."""
        return np.asarray(features @ self.weight.T + self.bias, dtype=np.float32)

    def divided(self, by: float) -> LinearHead:
        """The same with outputs divided by a number."""
        return LinearHead(*(np.divide(own, np.float32(by)) for own in (self.weight, self.bias)))

    def arrays(self) -> dict[str, np.ndarray]:
        """Its tensors by name, as in torch."""
        return {"weight": self.weight, "bias": self.bias}

    def layer(self) -> nn.Linear:
        """The layer in torch, with a copy of the arrays."""
        import torch
        from torch import nn

        layer = nn.Linear(self.weight.shape[1], len(self.weight))
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(self.weight))
            layer.bias.copy_(torch.from_numpy(self.bias))
        return layer


@final
@dataclass(frozen=True, eq=False)
class FrozenModel:
    """A backbone under a head; the network in torch is made when it is asked for."""

    backbone: Backbone
    head: nn.Module | LinearHead

    def __getstate__(self) -> dict[str, object]:
        """Without the network, which is made again."""
        return {"backbone": self.backbone, "head": self.head}

    @cached_property
    def network(self) -> Model:
        """Both in torch; it shares the backbone's modules."""
        from headstart.contracts.model import Model

        return Model.of(self.backbone, as_module(self.head))

    def with_head(self, head: nn.Module | LinearHead) -> FrozenModel:
        """The same backbone under another head."""
        return FrozenModel(self.backbone, head)


def as_module(head: nn.Module | LinearHead) -> nn.Module:
    """A head in torch."""
    return head.layer() if isinstance(head, LinearHead) else head


def as_model(network: Network) -> Model:
    """A network in torch."""
    return network.network if isinstance(network, FrozenModel) else network


def is_linear(head: nn.Module | LinearHead) -> bool:
    """Whether a head is one linear layer, which the backbone's own library knows."""
    if isinstance(head, LinearHead):
        return True
    from torch import nn

    return isinstance(head, nn.Linear)


def is_native(head: nn.Module | LinearHead) -> bool:
    """Whether a head's tensors have the names of the backbone's own library, without any prefix."""
    if isinstance(head, LinearHead):
        return False
    from headstart.contracts.native import NativeHead

    return isinstance(head, NativeHead)
