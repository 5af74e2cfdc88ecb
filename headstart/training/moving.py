"""What a training changes, and a checkpoint therefore holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from headstart.contracts import Strategy
from headstart.contracts.model import Model
from headstart.errors import HeadstartError

_OWN = "strategy"


@dataclass(frozen=True)
class Moving:
    """The tensors of a model that training changes, and the strategy's own parameters.

    Of the model those of the head and of the stages from `start` on, but for what is `fixed`.
    """

    model: Model
    strategy: Strategy
    start: int
    fixed: frozenset[str]

    def own(self) -> list[nn.Parameter]:
        """The strategy's own parameters."""
        return list(self.strategy.parameters())

    def to(self, device: torch.device) -> None:
        """Put the strategy's own parameters where the model is."""
        for parameter in self.own():
            parameter.data = parameter.data.to(device)

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """All of them by name; the strategy's own by their number."""
        for name, tensor in self.model.state_dict().items():
            kind, _, rest = name.partition(".")
            if name not in self.fixed and (
                kind == "head" or int(rest.partition(".")[0]) >= self.start
            ):
                yield name, tensor
        for number, parameter in enumerate(self.own()):
            yield f"{_OWN}.{number}", parameter.detach()

    def copied(self) -> dict[str, Tensor]:
        """A copy of all of them on the CPU."""
        return {name: tensor.cpu().clone() for name, tensor in self.tensors()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Give all of them the values of such a copy.

        Raises HeadstartError where the strategy's own parameters are others.
        """
        own = {f"{_OWN}.{number}": each for number, each in enumerate(self.own())}
        known = {name: tensor for name, tensor in state.items() if name.startswith(f"{_OWN}.")}
        if {n: t.shape for n, t in own.items()} != {n: t.shape for n, t in known.items()}:
            raise HeadstartError(
                "The strategy's own parameters are not those of the unfinished run. "
                "Remove the folder of that run, or name another one with -o."
            )
        self.model.load_state_dict(
            {name: tensor for name, tensor in state.items() if name not in known}, strict=False
        )
        with torch.no_grad():
            for name, parameter in own.items():
                parameter.copy_(known[name])
