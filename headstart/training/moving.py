"""What a training changes, and a checkpoint therefore holds; and what it leaves as it is."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from headstart.contracts import Strategy
from headstart.contracts.model import Model
from headstart.errors import HeadstartError
from headstart.loading.weights import digest

_OWN = "strategy"


@dataclass(frozen=True)
class Moving:
    """The tensors of a model that training changes, and those of the strategy's own modules.

    Of the model those of the head and of the stages from `start` on, but for what is `fixed`: the
    parameters that `on_train_start` left without a gradient, by name.
    """

    model: Model
    strategy: Strategy
    start: int
    fixed: frozenset[str]

    def own(self) -> list[nn.Parameter]:
        """The parameters of the strategy's own modules."""
        modules = self.strategy.modules()
        return [each for name in sorted(modules) for each in modules[name].parameters()]

    def to(self, device: torch.device) -> None:
        """Put the strategy's own modules where the model is."""
        for module in self.strategy.modules().values():
            module.to(device)

    def start_epoch(self, epoch: int) -> None:
        """Put the model and the strategy's own modules into training mode, but for what is frozen.

        See `start_epoch`.
        """
        for module in self.strategy.modules().values():
            module.train()
        start_epoch(self.model, self.strategy, epoch, self.fixed)

    def eval(self) -> None:
        """Put the strategy's own modules into evaluation mode."""
        for module in self.strategy.modules().values():
            module.eval()

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """All of them by name; the strategy's own by their modules'."""
        stages = len(self.model.stages)
        behind = {"pool": stages - 1, "head": stages}
        for name, tensor in self.model.state_dict().items():
            kind, _, rest = name.partition(".")
            stage = behind[kind] if kind in behind else int(rest.partition(".")[0])
            if name not in self.fixed and stage >= self.start:
                yield name, tensor
        for own, module in self.strategy.modules().items():
            for name, tensor in module.state_dict().items():
                yield f"{_OWN}.{own}.{name}", tensor

    def copied(self) -> dict[str, Tensor]:
        """A copy of all of them on the CPU."""
        return {name: tensor.cpu().clone() for name, tensor in self.tensors()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Give all of them the values of such a copy.

        Raises HeadstartError where the strategy's own modules are others.
        """
        own = dict(self.tensors())
        mine = {n: tensor.shape for n, tensor in own.items() if n.startswith(f"{_OWN}.")}
        if mine != {n: tensor.shape for n, tensor in state.items() if n.startswith(f"{_OWN}.")}:
            raise HeadstartError(
                "The strategy's own parameters are not those of the unfinished run. "
                "Remove the folder of that run, or name another one with -o."
            )
        self.model.load_state_dict({n: t for n, t in state.items() if n not in mine}, strict=False)
        with torch.no_grad():
            for name in mine:
                own[name].copy_(state[name])

    def fixed_digest(self) -> str:
        """The hash of all that is fixed, with the buffers of modules of which all is."""
        tensors: dict[str, Tensor] = {}
        for place, module in self.model.named_modules():
            own = {f"{place}.{n}": each for n, each in module.named_parameters(recurse=False)}
            tensors |= {name: each for name, each in own.items() if name in self.fixed}
            if own and own.keys() <= self.fixed:
                buffers = module.named_buffers(recurse=False)
                tensors |= {f"{place}.{name}": each for name, each in buffers}
        return digest(tensors) if tensors else ""


def fixed_in(model: Model) -> frozenset[str]:
    """The parameters without a gradient, by name."""
    return frozenset(name for name, p in model.named_parameters() if not p.requires_grad)


def start_epoch(
    model: Model, strategy: Strategy, epoch: int, fixed: Collection[str] = frozenset()
) -> None:
    """Put a model into training mode, but for what is frozen in this epoch.

    That is what the strategy freezes; the pooling, where all stages are frozen; and what is `fixed`
    for the whole training, with the statistics of each BatchNorm of which all is.
    """
    model.train()
    model.pool.requires_grad_(True)
    strategy.on_epoch_start(epoch, model)
    if strategy.frozen_stages(epoch, len(model.stages)) >= len(model.stages):
        model.pool.requires_grad_(False).eval()
    if not fixed:
        return
    for place, module in model.named_modules():
        own = {f"{place}.{n}": each for n, each in module.named_parameters(recurse=False)}
        for name in own.keys() & fixed:
            own[name].requires_grad_(False)
        if isinstance(module, _BatchNorm) and own and own.keys() <= set(fixed):
            module.eval()
