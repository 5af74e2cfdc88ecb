"""A kind of answer: the head, one training step, the scores, and how answers are shown."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from torch import nn

from headstart.contracts.model import Batch, Model, Step

Labels = Sequence[str]
Array = np.ndarray
Examples = tuple[Array, Array]  # features (N, D) float32 and targets (N,) or (N, outputs)


class Task(ABC):
    """A kind of answer. It owns the step, because some networks compute their loss inside.

    `metric` names what the mean of `scores` is; `kind` is that of the targets: classes, numbers, or
    label sets; `cross_validates` says that `probe` does not look at validation.
    """

    metric: ClassVar[str]
    kind: ClassVar[str] = "classes"
    cross_validates: ClassVar[bool] = False

    @abstractmethod
    def head(self, feature_dim: int, labels: Labels) -> nn.Module:
        """An untrained head from features (N, feature_dim) to outputs (N, labels)."""

    @abstractmethod
    def step(self, model: Model, batch: Batch) -> Step:
        """One forward pass with its loss."""

    @abstractmethod
    def probe(self, train: Examples, validation: Examples, labels: Labels) -> nn.Module:
        """A head fitted on frozen features, its settings picked on validation, or by folds."""

    @abstractmethod
    def naive(self, targets: Array, labels: Labels) -> Array:
        """The one output (labels,) that is best for any input, from training targets (N,)."""

    @abstractmethod
    def scores(self, outputs: Array, targets: Array) -> Array:
        """How right each of the outputs (N, labels) is, (N,); more is better."""

    @abstractmethod
    def losses(self, outputs: Array, targets: Array) -> Array:
        """How wrong each of the outputs (N, labels) is, (N,), as training sees it."""

    @abstractmethod
    def decode(self, outputs: Array, labels: Labels) -> list[dict[str, Any]]:
        """An answer for each of the outputs (N, labels), as JSON."""
