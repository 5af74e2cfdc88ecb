"""Tiny data and sessions in memory, for tests of training and of whatever trains."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn

from headstart import catalog
from headstart.contracts import Backbone
from headstart.contracts.model import Model
from headstart.defaults import Recipe, Settings
from headstart.features.loaders import Feed
from headstart.features.reading import View
from headstart.runtime import machine
from headstart.runtime.budget import Budget
from headstart.runtime.progress import Advance, Progress, Silent
from headstart.training import Session, Splits, Training, seed_everything, train

torch.set_num_threads(1)  # threads that wait for one another cost tiny networks far more

LABELS = ("ant", "bee", "cat")
TASK = catalog.task("image-classification")
STEPS = 3  # an epoch of splits() in batches of 8
EPOCHS = 4  # of run()


@final
class TensorFeed(Feed):
    """Items that lie in memory, ready for the network."""

    start = 0

    def __init__(self, inputs: Tensor, targets: np.ndarray) -> None:
        super().__init__(targets)
        self.inputs = inputs

    def _inputs(self, groups: Sequence[np.ndarray], view: View | None) -> Iterator[Any]:
        return (self.inputs[torch.from_numpy(group)] for group in groups)


@final
class Recording(Progress):
    """Keeps what it is told, and calls back with the number of each step."""

    def __init__(self, at_step: Any = None) -> None:
        self.said: list[str] = []
        self.warned: list[str] = []
        self.steps = 0
        self._at_step = at_step

    def say(self, text: str) -> None:
        self.said.append(text)

    def warn(self, text: str) -> None:
        self.warned.append(text)

    @contextmanager
    def track(self, what: str, total: int) -> Iterator[Advance]:
        def advance(count: int) -> None:
            self.steps += count
            if self._at_step is not None:
                self._at_step(self.steps)

        yield advance


def feed(count: int, seed: int = 0, noise: float = 0.6) -> TensorFeed:
    """Noisy pictures (N, 3, 16, 16) of three classes, each with a channel of its own."""
    rng = np.random.default_rng(seed)
    targets = np.arange(count, dtype=np.int64) % len(LABELS)
    pixels = rng.normal(0, noise, (count, 3, 16, 16)).astype(np.float32)
    pixels[np.arange(count), targets] += 0.5
    return TensorFeed(torch.from_numpy(pixels), targets)


def splits(train: int = 24, validation: int = 12) -> Splits:
    """Training and validation items of the same kind."""
    return Splits(feed(train, seed=1), feed(validation, seed=2))


def backbone(reference: str = "seeded:convnet?width=4") -> Backbone:
    """A seeded network."""
    return catalog.load_backbone(reference)


def model(reference: str = "seeded:convnet?width=4", dropout: float = 0.0) -> Model:
    """A seeded network under a fresh head, which may drop features at random."""
    found = backbone(reference)
    head = TASK.head(found.feature_dim, LABELS)
    return Model.of(found, nn.Sequential(nn.Dropout(dropout), head) if dropout else head)


def recipe(epochs: int = 3, batch: int = 8, rate: float = 1e-2, patience: int = 99) -> Recipe:
    """A short training."""
    return Recipe(
        label="tiny", epochs=epochs, batch_size=batch, learning_rate=rate, patience=patience
    )


@dataclass(frozen=True)
class Told:
    """What a session is told besides its seed."""

    budget: Budget | None = None
    progress: Progress | None = None
    checkpoint: Path | None = None


def session(seed: int = 0, told: Told | None = None) -> Session:
    """A session in fp32 on the CPU."""
    told = told or Told()
    where = machine.accelerator(Settings(precision="fp32", device="cpu"), 0)
    budget, progress = told.budget or Budget(None), told.progress or Silent()
    seed_everything(seed)
    return Session(where, seed, budget, progress, told.checkpoint)


def same_tensors(one: nn.Module, other: nn.Module) -> bool:
    """Whether two networks' parameters and buffers are equal bit for bit."""
    first, second = one.state_dict(), other.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


class Killed(Exception):
    """Stands for the kill in runs that die inside this process."""


def dies_at(step: int) -> Recording:
    """A progress that ends the run by Killed after so many steps."""

    def at_step(done: int) -> None:
        if done == step:
            raise Killed

    return Recording(at_step)


def run(told: Told | None = None, seed: int = 0) -> tuple[Model, Training]:
    """A training in which chance has its say: shuffling and dropout."""
    place = session(seed, told)
    made = model(dropout=0.3)
    strategy = catalog.strategy("gradual-unfreezing?groups=2")
    return made, train(made, TASK, strategy, splits(), recipe(EPOCHS), place)


def without_seconds(made: Training) -> list[dict[str, float]]:
    """A training's history without what differs from run to run."""
    return [{k: v for k, v in row.items() if k != "seconds"} for row in made.history]


def untimed(value: Any) -> Any:
    """The same JSON without what the clock and the place say."""
    if isinstance(value, dict):
        told = ("seconds", "out", "convergence", "made")  # how fast, when and by which command
        return {key: untimed(entry) for key, entry in value.items() if key not in told}
    return [untimed(entry) for entry in value] if isinstance(value, list) else value
