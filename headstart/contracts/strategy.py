"""How weights move: what is frozen when, at which rates, towards which loss."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:  # so that frozen features need no torch
    from torch import Tensor, nn

    from headstart.contracts.model import Model, Step


class Strategy(ABC):
    """How weights move. Docstrings say Reference, Relations and Use when.

    The hooks are called in the order `on_train_start`, `on_epoch_start` for each epoch,
    `on_train_end`. `wants_unlabelled` says that each step needs a batch of unlabelled items, which
    pass through the network after the labelled ones; `loss` is given both.
    """

    wants_unlabelled: ClassVar[bool] = False

    @abstractmethod
    def frozen_stages(self, epoch: int, stages: int) -> int:
        """How many of the first stages are frozen in this epoch, of so many.

        Their activations may be stored. The pooling is frozen where all are.
        """

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
        """Change the model once, before the optimiser is made.

        A parameter that has no gradient from then on, wherever it is, stays frozen bit for bit to
        the end; so do the statistics of a BatchNorm whose parameters all are. Only the first stages
        by `frozen_stages` are stored.
        """

    def on_epoch_start(self, epoch: int, model: Model) -> None:
        """Change the model after each `model.train()`."""

    def on_train_end(self, model: Model) -> None:
        """Change the model once, when training is over: merge what was added."""

    def lr_scale(self, stage: int, stages: int) -> float:
        """What multiplies the base learning rate in this stage; the head is number `stages`."""
        return 1.0

    def loss(self, step: Step, unlabelled: Step | None = None) -> Tensor:
        """What to minimise; `unlabelled` is a step without a loss, where one is wanted."""
        return step.loss

    def modules(self) -> Mapping[str, nn.Module]:
        """Modules of its own by name, the same ones at each call after `on_train_start`.

        They are moved to the device, trained at the base rate without decay where they have a
        gradient, clipped, put into training and evaluation mode, kept from the best epoch, and
        saved in checkpoints with their buffers. They are no part of the result.
        """
        return {}
