"""What a family of seeded networks tells the hub of one of them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import final

from torch import nn

from headstart.contracts import Preprocess

Stages = Mapping[str, nn.Module]


@final
@dataclass(frozen=True)
class Design:
    """A network that can be made, with all of a backbone that doesn't depend on its weights.

    `make` draws the weights from torch's global random state; `cut` answers the network's stages,
    the pooling behind them and the width of its features; `options` rebuild the design, those at
    their defaults left out.
    """

    modality: str
    input: str  # as a card says it
    preprocess: Preprocess
    seed: int
    pretrained: bool
    options: Mapping[str, str]
    make: Callable[[], nn.Module]
    cut: Callable[[nn.Module], tuple[Stages, nn.Module, int]]
    files: Mapping[str, bytes] = field(default_factory=dict)


def by_child(network: nn.Module) -> dict[str, nn.Module]:
    """A stage for each child of the network, under its name.

    The tensors keep the names they have in the network.
    """
    children = network.named_children()
    return {name: nn.Sequential(OrderedDict([(name, child)])) for name, child in children}


def without_pool(network: nn.Module) -> tuple[dict[str, nn.Module], nn.Module]:
    """The same without the last child, and that one, which is the pooling."""
    stages = by_child(network)
    _, pool = stages.popitem()
    return stages, pool
