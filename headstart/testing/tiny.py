"""Tiny data, networks and sessions in memory, for checks of whatever trains."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn

from headstart import catalog
from headstart.contracts import Backbone, Strategy
from headstart.contracts.model import Model
from headstart.defaults import Recipe, Settings
from headstart.features.loaders import Feed
from headstart.features.reading import View
from headstart.runtime import machine
from headstart.runtime.budget import Budget
from headstart.runtime.progress import Advance, Progress, Silent
from headstart.training import Session, Splits, seed_everything

LABELS = ("ant", "bee", "cat")
TASK = catalog.task("image-classification")
STEPS = 3  # an epoch of splits() in batches of 8


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

    def __init__(self, at_step: Callable[[int], None] | None = None) -> None:
        self.said: list[str] = []
        self.warned: list[str] = []
        self.steps = 0
        self._at_step = at_step

    def say(self, text: str) -> None:
        """Keep a sentence."""
        self.said.append(text)

    def warn(self, text: str) -> None:
        """Keep a warning."""
        self.warned.append(text)

    @contextmanager
    def track(self, what: str, total: int) -> Iterator[Advance]:
        """Count steps."""

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
    return copy.deepcopy(_loaded(reference))


@cache
def _loaded(reference: str) -> Backbone:
    """The same for each who asks, as copying it takes a part of the time."""
    return catalog.load_backbone(reference)


def model(reference: str = "seeded:convnet?width=4", dropout: float = 0.0) -> Model:
    """A seeded network under a fresh head, which may drop features at random."""
    body = backbone(reference)
    head = TASK.head(body.feature_dim, LABELS)
    return Model.of(body, nn.Sequential(nn.Dropout(dropout), head) if dropout else head)


def recipe(epochs: int = 3, batch: int = 8, rate: float = 1e-2, patience: int = 99) -> Recipe:
    """A short training."""
    return Recipe(
        label="tiny", epochs=epochs, batch_size=batch, learning_rate=rate, patience=patience
    )


@dataclass(frozen=True)
class SessionOptions:
    """What a session may have besides its seed."""

    budget: Budget | None = None
    progress: Progress | None = None
    checkpoint: Path | None = None


def session(seed: int = 0, options: SessionOptions | None = None) -> Session:
    """A session in fp32 on the CPU."""
    options = options or SessionOptions()
    where = machine.accelerator(Settings(precision="fp32", device="cpu"), 0)
    budget, progress = options.budget or Budget(None), options.progress or Silent()
    seed_everything(seed)
    return Session(where, seed, budget, progress, options.checkpoint)


def same_tensors(one: nn.Module, other: nn.Module) -> bool:
    """Whether two networks' parameters and buffers are equal bit for bit."""
    first, second = one.state_dict(), other.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


class Killed(Exception):
    """Stands for the kill in runs that die inside this process."""


def dies_at(step: int) -> Recording:
    """A progress that ends the run by Killed after so many steps."""

    def at_step(steps: int) -> None:
        if steps == step:
            raise Killed

    return Recording(at_step)


def ask(strategy: Strategy) -> None:
    """Ask a strategy all that it says of itself, and let it prepare a model."""
    strategy.ends_with_probe()
    strategy.starts_from_probe()
    strategy.epochs(3)
    for number in range(4):
        strategy.frozen_stages(number, 3)
        strategy.lr_scale(number, 3)
    strategy.on_train_start(model())
