"""Tiny data and sessions in memory, for tests of training and of whatever trains."""

from __future__ import annotations

from typing import Any

import torch

from headstart import catalog
from headstart.contracts.model import Model
from headstart.testing.tiny import (
    LABELS,
    STEPS,
    TASK,
    Killed,
    Recording,
    SessionOptions,
    TensorFeed,
    backbone,
    dies_at,
    feed,
    model,
    recipe,
    same_tensors,
    session,
    splits,
)
from headstart.training import Training, train

__all__ = [
    "EPOCHS",
    "LABELS",
    "STEPS",
    "TASK",
    "Killed",
    "Recording",
    "SessionOptions",
    "TensorFeed",
    "backbone",
    "dies_at",
    "feed",
    "model",
    "recipe",
    "run",
    "same_tensors",
    "session",
    "splits",
    "untimed",
    "without_seconds",
]

torch.set_num_threads(1)  # threads that wait for one another cost tiny networks far more

EPOCHS = 4  # of run()


def run(options: SessionOptions | None = None, seed: int = 0) -> tuple[Model, Training]:
    """A training in which chance has its say: shuffling and dropout."""
    place = session(seed, options)
    result = model(dropout=0.3)
    strategy = catalog.strategy("gradual-unfreezing?groups=2")
    return result, train(result, TASK, strategy, splits(), recipe(EPOCHS), place)


def without_seconds(training: Training) -> list[dict[str, float]]:
    """A training's history without what differs from run to run."""
    return [{k: v for k, v in row.items() if k != "seconds"} for row in training.history]


def untimed(value: Any) -> Any:
    """The same JSON without what the clock and the place say."""
    if isinstance(value, dict):
        excluded = ("seconds", "out", "convergence", "made")  # how fast, when and by which command
        return {key: untimed(entry) for key, entry in value.items() if key not in excluded}
    return [untimed(entry) for entry in value] if isinstance(value, list) else value
