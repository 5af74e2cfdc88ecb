"""What the stages of an encoder of pictures are made of, over the network's own modules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, final

import torch
from torch import Tensor, nn

from headstart.hubs.huggingface.parts import Part, Stage, hidden_states
from headstart.hubs.huggingface.pictures.families import PictureFamily

_FIRST: Final = 1  # tokens before the patches: that of the class

STEPS: Final[Mapping[str, Callable[[Tensor, int], Tensor]]] = {
    "cls": lambda hidden, _: hidden[:, 0],
    "mean": lambda hidden, _: hidden.mean(1),
    "map": lambda hidden, _: hidden.mean((-2, -1)),
    "patches": lambda hidden, _: hidden[:, _FIRST:].mean(1),
    "cls and patches": lambda hidden, _: _both(hidden, _FIRST),
    "cls and patches but registers": lambda hidden, registers: _both(hidden, _FIRST + registers),
}


@final
@dataclass(frozen=True)
class Chain(Part):
    """Modules one after another: pictures (N, C, H, W) to the first hidden states."""

    names: tuple[str, ...]

    def run(self, stage: nn.Module, inputs: Tensor) -> Tensor:
        """What the last module answers."""
        for name in self.names:
            inputs = hidden_states(stage.get_submodule(name)(inputs))
        return inputs


@final
@dataclass(frozen=True)
class Block(Part):
    """One layer, or one group of layers, over tokens (N, T, D) or a map (N, D, H, W)."""

    names: tuple[str, ...]
    more: tuple[Any, ...] = ()  # what it is called with besides

    def run(self, stage: nn.Module, inputs: Tensor) -> Tensor:
        """Hidden states to hidden states."""
        return hidden_states(stage.get_submodule(self.names[0])(inputs, *self.more))


@final
@dataclass(frozen=True)
class Pooled(Part):
    """The last hidden states to features (N, D), by modules and `STEPS`."""

    steps: tuple[str, ...]
    registers: int
    extra: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:  # type: ignore[override]
        """The modules among the steps, and those it holds."""
        return (*(name for name in self.steps if name not in STEPS), *self.extra)

    def run(self, stage: nn.Module, inputs: Tensor) -> Tensor:
        """Hidden states to features."""
        for name in self.steps:
            if name in STEPS:
                inputs = STEPS[name](inputs, self.registers)
            else:
                inputs = stage.get_submodule(name)(inputs)
        return inputs


def cut(
    network: nn.Module, family: PictureFamily, root: str, steps: tuple[str, ...], example: Tensor
) -> tuple[dict[str, nn.Module], nn.Module]:
    """Stages over the network's own modules, input side first, and the pooling behind them.

    The stages are the embeddings, then each layer. `root` is what the names of the tower's modules
    begin with, `steps` the way of making features, `example` a batch of pictures, as windows of
    Swin depend on their size.
    """
    tower: Any = network.get_submodule(root.rstrip("."))
    groups: list[list[Part]] = [[Chain(tuple(f"{root}{name}" for name in family.embeddings))]]
    layers = tower.get_submodule(family.layers)
    mores = _grids(tower, len(layers), example) if family.blocks == "grid" else None
    for number in range(len(layers)):
        more = (None,) if family.blocks == "attention" else mores[number] if mores else ()
        groups.append([Block((f"{root}{family.layers}.{number}",), more)])
    own = tuple(name if name in STEPS else f"{root}{name}" for name in steps)
    extra = tuple(f"{root}{name}" for name in family.extra if name not in steps)
    registers = getattr(tower.config, "num_register_tokens", 0)
    names = ["embeddings", *(f"layer {number}" for number in range(len(layers)))]
    stages: dict[str, nn.Module]
    stages = {n: Stage(network, parts).eval() for n, parts in zip(names, groups, strict=True)}
    return stages, Stage(network, [Pooled(own, registers, extra)]).eval()


def _grids(tower: Any, count: int, example: Tensor) -> list[tuple[Any, ...]]:
    """How many patches high and wide each group of Swin's layers works on.

    The network runs once, so that its windows fit pictures of this size; from then on they stay.
    """
    grids: list[tuple[int, int]] = []
    layers = list(tower.encoder.layers)
    hooks = [
        layer.register_forward_pre_hook(lambda _, inputs: grids.append(tuple(inputs[1])))
        for layer in layers
    ]
    try:
        with torch.no_grad():
            tower(example)
    finally:
        for hook in hooks:
            hook.remove()
    return [(grid,) for grid in grids[:count]]


def _both(hidden: Tensor, first: int) -> Tensor:
    return torch.cat((hidden[:, 0], hidden[:, first:].mean(1)), dim=1)
