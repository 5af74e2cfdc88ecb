"""How long the network from scratch is trained: as long as the verdict needs, and no longer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, sqrt

import numpy as np

from headstart import defaults
from headstart.defaults import Recipe
from headstart.evidence.experiment import Experiment
from headstart.evidence.record import Arm
from headstart.runtime.budget import Budget
from headstart.training import Training

FEWER = 0.75  # of the epochs, until they fit: coarse, so that small delays change nothing
SURE = 3.29  # standard errors, for 99.9 % of a normal distribution
_STEP = 3.0  # forward passes that a pass there and back takes


@dataclass(frozen=True)
class Bound:
    """What a network from scratch is given, beside the `transfer` that it is compared with.

    `share` is its part of the time and steps, where one is trained in each of several folds.
    """

    experiment: Experiment
    reference: Recipe
    transfer: Arm | None = None
    share: float = 1.0

    @property
    def whole(self) -> int:
        """The epochs that it gets where time allows."""
        return defaults.SCRATCH_MORE_STEPS * self.reference.epochs

    @property
    def least(self) -> int:
        """The steps without which it is no yardstick, whatever time they take."""
        epoch = self.experiment.steps_per_epoch()
        own = int(self.share * min(self.reference.epochs * epoch, defaults.SCRATCH_STEPS))
        return max(epoch, own, self.transfer.steps if self.transfer else 0)

    def epochs(self, searched: Sequence[Training]) -> int:
        """The epochs that its time allows, reckoned from what the search for a rate took.

        The transfer's time counts as at least that of a pass of all items through the network, as
        their features may have been stored before.
        """
        if self.transfer is None:
            return self.whole
        spent = sum(training.seconds for training in searched)
        pace = spent / max(1, sum(training.steps for training in searched))
        epoch = self.experiment.steps_per_epoch()
        passed = pace / (_STEP * self.reference.batch_size) * len(self.experiment.dataset.items)
        transfer = max(self.transfer.seconds, passed)
        most = self.share * max(defaults.SCRATCH_SECONDS, defaults.SCRATCH_TIMES * transfer)
        least = min(self.whole, ceil(self.least / epoch))
        epochs = self.whole
        while epochs > least and spent + epochs * epoch * pace > most:
            epochs = max(least, int(FEWER * epochs))
        return epochs

    def decided(self, training: Training, outputs: np.ndarray) -> bool:
        """Whether going on can't change that it is behind the transfer, by validation alone.

        That is after half of the epochs at least and all steps that are due, where its best score
        has not grown by more than a standard error in the last third of its steps, and is behind
        the transfer's by more than chance explains (99.9 %). Where it is ahead it goes on.
        """
        rows = training.history
        if 2 * training.epochs < self.whole or training.steps < self.least:
            return False
        best = max(row["score"] for row in rows)
        before = max(row["score"] for row in rows if row["steps"] <= 2 / 3 * training.steps)
        scores = self._scores(outputs)
        flat = best - before <= float(scores.std()) / sqrt(len(scores))
        return flat and self.behind(best, scores)

    def behind(self, best: float, scores: np.ndarray) -> bool:
        """Whether a score on validation is clearly below the transfer's.

        `scores` (N,) are the network's there, now; no error is taken as less than one item makes.
        """
        if self.transfer is None or len(self.transfer.checked) != len(scores):
            return False
        differences = self.transfer.checked - scores
        error = sqrt((float(differences.var()) + 1.0 / len(scores)) / len(scores))
        return float(self.transfer.checked.mean()) - best > SURE * error

    def suits(self, training: Training, outputs: np.ndarray) -> bool:
        """Whether a network that was trained for another transfer will do for this one."""
        if training.steps < self.least or training.cut:
            return False
        best = training.history[training.best]["score"]
        return not training.decided or self.behind(best, self._scores(outputs))

    def _scores(self, outputs: np.ndarray) -> np.ndarray:
        return self.experiment.task.scores(outputs, self.experiment.dataset.targets("validation"))


def bounded(experiment: Experiment, transfer: Arm) -> Experiment:
    """Where the transfer trains on stored maps, scratch has a time of its own without a budget.

    A pass over the pictures takes so much longer that the steps that are due would take hours.
    """
    slow = experiment.task.reads_maps and experiment.accelerator.device.type == "cpu"
    if not slow or experiment.budget.limited:
        return experiment
    seconds = max(defaults.SCRATCH_ON_MAPS, defaults.SCRATCH_TIMES * transfer.seconds)
    return replace(experiment, budget=Budget(seconds))
