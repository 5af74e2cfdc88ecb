"""How weights move: what is frozen when, at which rates, towards which loss."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable

from torch import Tensor, nn

from headstart.contracts.model import Model, Step


class Strategy(ABC):
    """How weights move. Docstrings say Reference, Relations and Use when.

    The hooks are called in the order `on_train_start`, `on_epoch_start` for each epoch,
    `on_train_end`.
    """

    @abstractmethod
    def frozen_stages(self, epoch: int, stages: int) -> int:
        """How many of the first stages are frozen in this epoch, of so many."""

    def starts_from_probe(self) -> bool:
        """Whether training begins with the head fitted on frozen features."""
        return False

    def ends_with_probe(self) -> bool:
        """Whether the head is fitted once more, on the trained features."""
        return False

    def epochs(self, default: int) -> int:
        """How many epochs to train, given the policy's number."""
        return default

    def on_train_start(self, model: Model) -> None:
        """Change the model once, before the optimiser is made."""

    def on_epoch_start(self, epoch: int, model: Model) -> None:
        """Change the model after each `model.train()`."""

    def on_train_end(self, model: Model) -> None:
        """Change the model once, when training is over: merge what was added."""

    def lr_scale(self, stage: int, stages: int) -> float:
        """What multiplies the base learning rate in this stage; the head is number `stages`."""
        return 1.0

    def loss(self, step: Step) -> Tensor:
        """What to minimise."""
        return step.loss

    def parameters(self) -> Iterable[nn.Parameter]:
        """Parameters of its own that the optimiser must move too."""
        return ()
