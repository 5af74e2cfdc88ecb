"""Heads that learn from few rows of a table beside many of others that are about the same."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from torch import nn

from headstart.contracts.head import TrainingSet
from headstart.contracts.related import Direction, SourcedHead
from headstart.contracts.ridge import ridge
from headstart.contracts.standardisation import Standardisation
from headstart.contracts.targets import Encoding
from headstart.errors import HeadstartError


@final
@dataclass(frozen=True, eq=False)
class Question:
    """One output of a target's rows beside what the sources say of it, both of mean 0.

    `inputs` (N, D) are divided by `spread` (D,); `goals` (N,) and the sources' `score` (N,) are in
    standard deviations of the sources' targets. `direction` (D,) makes the score of the inputs, and
    `mask` (D,) says which features the sources speak of.
    """

    inputs: np.ndarray
    goals: np.ndarray
    direction: np.ndarray
    mask: np.ndarray

    @property
    def score(self) -> np.ndarray:
        """The sources' answers to the rows."""
        return np.asarray(self.inputs @ self.direction)


class RelatedHead(SourcedHead):
    """A linear head for numbers made of the target's rows and of what its sources say."""

    cross_validates: ClassVar[bool] = True

    @abstractmethod
    def weights(self, question: Question) -> np.ndarray:
        """One output's weights (D,) for the inputs."""

    def candidates(self, training: TrainingSet) -> Iterator[nn.Module]:
        """The one layer. Raises HeadstartError without sources, and for targets but numbers."""
        demand_numbers(self, training)
        labels, features = training.shape.labels, training.features.astype(np.float64)
        direction = Direction.of(self.related, labels, training.shape.encoding)
        spread = _spreads(features, direction)
        middle, centre = features.mean(axis=0), training.targets.mean(axis=0)
        inputs = (features - middle) / spread
        rows, bias = [], []
        for place in range(labels):
            goals = training.targets[:, place].astype(np.float64) - centre[place]
            scale = _scale(direction.scale[place], goals)
            own = direction.weights[:, place] * spread
            question = Question(inputs, goals / scale, own, direction.spread > 0)
            rows.append(self.weights(question) * scale / spread)
            bias.append(centre[place] - rows[-1] @ middle)
        yield layer(np.stack(rows), np.array(bias))


def demand_numbers(head: SourcedHead, training: TrainingSet) -> None:
    """Raise HeadstartError without sources, and for targets that are no numbers."""
    head.demand_sources()
    if training.shape.encoding is not Encoding.AMOUNTS:
        raise HeadstartError(
            "This head learns numbers from other tables. Name --head source-logistic for classes."
        )


def layer(weight: np.ndarray, bias: np.ndarray) -> nn.Linear:
    """A layer of weight (labels, D) and bias (labels,)."""
    import torch

    linear = nn.Linear(weight.shape[1], len(weight))
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(weight))
        linear.bias.copy_(torch.from_numpy(bias))
    return linear


def alone(question: Question) -> np.ndarray:
    """Ridge regression on the target's rows, by leaving each out in turn (D,)."""
    own = Standardisation.of(question.inputs)
    return np.asarray(ridge(own(question.inputs), question.goals[:, None])[0][:, 0] / own.spread)


def _spreads(features: np.ndarray, direction: Direction) -> np.ndarray:
    """The sources' spread of each feature where they know it, else the target's (D,).

    With a part that is common to all, so that what hardly ever changes counts for little.
    """
    own = np.where(direction.spread > 0, direction.spread, features.std(axis=0))
    total = own.sum()
    common = own @ own / total if total > 0 else 1.0
    return np.asarray(np.sqrt((own**2 + common**2) / 2))


def _scale(scale: float, goals: np.ndarray) -> float:
    """The sources' standard deviation where it is known, else the target's."""
    own = float(goals.std())
    return scale if np.isfinite(scale) and scale > 0 else own if own > 0 else 1.0
