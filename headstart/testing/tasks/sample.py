"""A task with examples of its kind: three clouds of features, and targets that say which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import nn

from headstart.contracts import Batch, Examples, Task
from headstart.contracts.model import Model

WIDTH = 4
_CLOUDS = 3
_DRAWS = 20
# Targets of three items that differ, by kind; a task of another kind brings its own.
THREE: Final[dict[str, np.ndarray]] = {
    "classes": np.arange(3),
    "label sets": np.array([[1, 1, 0], [0, 1, 1], [1, 0, 1]], dtype=np.float32),
    "numbers": np.array([[2, 11, -5], [0, 11, 0], [2, 10, -5]], dtype=np.float32),
}


@dataclass(frozen=True)
class Sample:
    """A task, targets of three items that differ, and the names of its outputs."""

    task: Task
    three: np.ndarray
    labels: Sequence[str]

    def clouds(self, count: int, seed: int, distance: float = 12.0) -> Examples:
        """Features (N, 4) of three clouds, and targets that say which."""
        rng = np.random.default_rng(seed)
        clouds = np.arange(count) % _CLOUDS
        features = rng.normal(0, 1, (count, WIDTH)).astype(np.float32)
        features[np.arange(count), clouds] += distance
        return features, self.three[clouds]

    def network(self) -> Model:
        """A backbone of one layer under the task's head."""
        return Model({"all": nn.Linear(WIDTH, WIDTH)}, self.task.head(WIDTH, self.labels))

    def random_outputs(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Outputs (N, labels) of any size, and targets."""
        rng = np.random.default_rng(0)
        return [
            (
                rng.uniform(-50, 50, (count, len(self.labels))).astype(np.float32),
                self.three[rng.integers(0, _CLOUDS, count)],
            )
            for count in rng.integers(1, 12, _DRAWS)
        ]


def answer(head: nn.Module, features: np.ndarray) -> np.ndarray:
    """A head's outputs (N, labels)."""
    with torch.inference_mode():
        outputs: np.ndarray = head(torch.from_numpy(features)).numpy()
    return outputs


def batch_of(examples: Examples, start: int = 0) -> Batch:
    """Examples as a step takes them."""
    features, targets = examples
    return Batch(torch.from_numpy(features), torch.from_numpy(targets), start)
