"""What a training works with, and the record it leaves."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np

from headstart.defaults import Recipe
from headstart.features.loaders import Feed
from headstart.runtime.budget import Budget
from headstart.runtime.progress import Progress

if TYPE_CHECKING:  # so that frozen features need no torch
    from accelerate import Accelerator


@dataclass(frozen=True)
class Splits:
    """What the loop trains on, what it selects on, and unlabelled items beside them.

    Those have targets of the shape (N, 0).
    """

    train: Feed
    validation: Feed
    unlabelled: Feed | None = None


@dataclass(frozen=True)
class Session:
    """Where and how a training runs."""

    accelerator: Accelerator
    seed: int
    budget: Budget
    progress: Progress
    checkpoint: Path | None = None
    judging: float = 1.0  # how many times a pass over validation must still fit into the budget
    pace: Sequence[float] = ()  # of an earlier run that is repeated, instead of the budget
    hopeless: float = -inf  # a score below which training ends after a third of its epochs
    decided: Callable[[Training, np.ndarray], bool] | None = None  # by outputs (N, labels) too


@dataclass
class Training:
    """What a training did.

    `history` holds a row before training and one after each epoch: steps, seconds, loss (0 before),
    score, validation_loss. `best` is the row whose weights are kept, `top` the one of the highest
    score, with the `scores` of its items. `pace` says for each step how far the schedule had come,
    where it goes by a budget too.
    """

    history: list[dict[str, float]] = field(default_factory=list)
    steps: int = 0
    seconds: float = 0.0
    best: int = -1
    top: int = -1
    scores: list[float] = field(default_factory=list)
    finished: bool = False
    cut: bool = False  # ended by the budget
    pace: list[float] = field(default_factory=list)
    given_up: bool = False  # ended as hopeless
    diverged: bool = False  # ended as its numbers were no longer finite
    decided: bool = False  # ended as going on would change nothing of what it was for
    intact: bool = True  # whether what the strategy fixed is bit for bit as it was

    def selection_key(self, row: int) -> tuple[float, float]:
        """What selection compares: the score on validation, then minus the loss."""
        return self.history[row]["score"], -self.history[row]["validation_loss"]

    def keeps(self, row: int, scores: np.ndarray, latest: bool) -> bool:
        """Whether the weights of the newest row are kept; `scores` (N,) are of its items.

        They are where its score is the highest, and where the `latest` count, once a training has
        gained anything, where it is behind by no more than luck explains. Few items pick an early
        row by luck, while a rate that falls to zero makes the later ones better. The highest of so
        many noisy scores lies sqrt(2 ln rows) standard errors above what they are worth; no error
        is taken as less than one item makes.
        """
        if self.top < 0 or self.selection_key(row) > self.selection_key(self.top):
            self.top, self.scores, self.best = row, [float(each) for each in scores], row
            return True
        behind = np.asarray(self.scores) - scores
        error = np.sqrt((behind.var() + 1.0 / len(behind)) / len(behind))
        luck = max(1.0, np.sqrt(2 * np.log(len(self.history)))) * error
        if latest and self.top > 0 and behind.mean() <= luck:
            self.best = row
        return self.best == row

    def recovers(self, rows: int) -> bool:
        """Whether it fell below its beginning, and in the last third of so many rows rises again.

        A network that writes must unlearn how it answered before it answers in another language.
        """
        recent, third = [row["score"] for row in self.history[1:][-rows:]], rows // 3
        if self.top != 0 or third == 0 or len(recent) < rows:
            return False
        return fmean(recent[-third:]) > fmean(recent[-2 * third : -third])

    def conclude(
        self, recipe: Recipe, session: Session, outputs: np.ndarray, *, latest: bool = False
    ) -> None:
        """Say whether training ends here, after an epoch with these outputs on validation.

        Where the `latest` count, one that recovers is waited for.
        """
        waited_out = len(self.history) - 1 - self.best >= recipe.patience
        waited_out = waited_out and not (latest and self.recovers(recipe.patience))
        if waited_out or self.epochs >= recipe.epochs:
            self.finished = True
            return
        if 3 * self.epochs >= recipe.epochs:
            self.given_up = self.history[self.best]["score"] < session.hopeless
            self.finished |= self.given_up
        if session.decided is not None and session.decided(self, outputs):
            self.decided = self.finished = True

    def tell(self, recipe: Recipe, progress: Progress) -> None:
        """Say how a training ended."""
        best = self.history[self.best]
        if self.diverged:
            progress.warn(
                f"{recipe.label}: after {self.steps} steps at the rate {recipe.learning_rate:g} "
                "its numbers are no longer finite; the best weights before that are kept."
            )
        progress.say(
            f"{recipe.label}: {best['score']:.3f} on validation after "
            f"{best['steps']:.0f} of {self.steps} steps, in {self.seconds:.0f} s."
        )

    @property
    def kept_start(self) -> bool:
        """Whether the weights that are kept are those before the first of its steps."""
        return self.steps > 0 and self.history[self.best]["steps"] == 0

    @property
    def ending(self) -> str:
        """Why it ended before its time, empty where it didn't."""
        if self.diverged:
            return "ended as its numbers were no longer finite"
        return "ended by the budget" if self.cut else "given up" if self.given_up else ""

    @property
    def epochs(self) -> int:
        """How many epochs were begun."""
        return max(0, len(self.history) - 1)


def seed_everything(seed: int, torch: bool = True) -> None:
    """Seed every generator that weights and dropout draw from; of `torch` where it may be used."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    if torch:
        import torch as library

        library.manual_seed(seed)
