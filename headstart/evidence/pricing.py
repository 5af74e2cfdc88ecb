"""What work on one backbone and these items takes on this machine, measured before it begins."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from headstart.contracts import Backbone
from headstart.errors import OutOfTimeError
from headstart.evidence.experiment import Experiment
from headstart.features.engine import on_device, to_device

_SAMPLE, _REPEATS = 16, 2
_FIRST, _SHARE = 2, 0.02  # items; of the time that is left, which more may take
_STEP = 3.0  # forward passes that a pass there and back takes


@dataclass(frozen=True)
class Price:
    """Seconds that an item takes to be read and passed through the network; how many there are."""

    item: float
    trained: int
    validated: int
    held_out: int
    batch: int
    looks: int = 1

    @classmethod
    def of(cls, experiment: Experiment, backbone: Backbone) -> Price:
        """Measure it on a few training items, the best of two tries; on two where time is short."""
        import torch

        from headstart.contracts.model import Model

        device = experiment.accelerator.device
        network = Model.of(backbone, torch.nn.Identity())
        on_device(network.eval(), device)

        def timed(count: int) -> float:
            items = experiment.dataset.split("train")[:count]
            started = time.monotonic()
            with torch.inference_mode():
                for inputs in experiment.reader.batches(items, [np.arange(len(items))]):
                    network(to_device(inputs, device))
            return (time.monotonic() - started) / len(items)

        seconds = [timed(_FIRST) for _ in range(_REPEATS)]  # the first of all starts the library
        if _REPEATS * _SAMPLE * min(seconds) < _SHARE * experiment.budget.left():
            seconds = [timed(_SAMPLE) for _ in range(_REPEATS)]
        trained, validated, held_out = (
            len(experiment.dataset.split(name)) for name in ("train", "validation", "test")
        )
        batch_size = experiment.settings.batch_size or _SAMPLE
        looks = len(experiment.reader.looks)
        return cls(min(seconds), trained, validated, held_out, batch_size, looks)

    @property
    def least(self) -> float:
        """The shortest training: validated before and after a step."""
        return self.item * (2 * self.validated + _STEP * self.batch)

    @property
    def evaluation(self) -> float:
        """A network's last word on the items for validation and test."""
        return self.item * (self.validated + self.held_out) * self.looks

    @property
    def epoch(self) -> float:
        """A training of one pass over the items, and its judgement."""
        return self.item * (2 * self.validated + _STEP * self.trained) + self.evaluation

    def without_probe(self, views: int) -> float:
        """All that a model takes which no probe is fitted to first, but for its training.

        Its items and their views are stored, and it has its say before, at the end, and once saved.
        """
        return self.item * self.trained * (1 + views) + 3 * self.evaluation


def demand_time(experiment: Experiment, backbone: Backbone) -> None:
    """Raise OutOfTimeError where the budget is over before a model without a probe is trained."""
    if not experiment.budget.limited:
        return
    needed = Price.of(experiment, backbone).without_probe(experiment.views)
    count = len(experiment.dataset.items)
    if needed > experiment.budget.left():
        error = OutOfTimeError(
            f"Reading {count} items as often as a model needs takes about {needed:.0f} s, which "
            "the budget has no time for. Give more with --budget."
        )
        error.price = needed / count
        raise error
