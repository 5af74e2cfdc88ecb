"""Regression: one or several numbers an item."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np

from headstart.contracts import Examples, Task
from headstart.contracts.frozen import LinearHead
from headstart.contracts.ridge import ridge
from headstart.contracts.standardisation import Standardisation

if TYPE_CHECKING:  # so that a saved model answers without torch
    from torch import Tensor, nn

    from headstart.contracts.model import Batch, Model, Step


@final
class Regression(Task):
    """Squared error on standardised numbers, judged by R², the share of variance explained.

    `mean` and `scale` hold one value a number, in the user's units; empty ones stand for 0 and 1,
    and a scale of 0, of a number that never changes, for 1. Targets are in the user's units, the
    head's outputs in standardised ones.
    """

    own_metric: ClassVar[str] = "headstart.metrics.error:R2"
    kind: ClassVar[str] = "numbers"
    cross_validates: ClassVar[bool] = True

    def __init__(self, mean: tuple[float, ...] = (), scale: tuple[float, ...] = ()) -> None:
        self.mean = mean
        self.scale = scale

    def head(self, feature_dim: int, labels: Sequence[str]) -> nn.Module:
        """A linear layer to one output a number, zero at the start: it answers the mean."""
        from torch import nn

        layer = nn.Linear(feature_dim, len(labels))
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
        return layer

    def step(self, model: Model, batch: Batch) -> Step:
        """One forward pass over a batch, with the mean squared error in full precision."""
        import torch
        from torch.nn import functional

        from headstart.contracts.model import Step

        features = model.features(batch.inputs, batch.start)
        outputs: Tensor = model.head(features)
        mean, scale = (
            torch.from_numpy(part).to(outputs.device, torch.float32)
            for part in self._units(batch.targets.shape[1])
        )
        loss = functional.mse_loss(outputs.float(), (batch.targets - mean) / scale)
        return Step(outputs, loss, features, batch.targets)

    def probe(self, train: Examples, validation: Examples, labels: Sequence[str]) -> nn.Module:
        """The same as `linear_probe`, in torch."""
        return self.linear_probe(train, validation, labels).layer()

    def linear_probe(
        self, train: Examples, validation: Examples, labels: Sequence[str]
    ) -> LinearHead:
        """Ridge regression on standardised features, in closed form (Hoerl and Kennard 1970).

        Each number's strength is picked by the squared error of every training item left out in
        turn, exactly (Allen 1974): validation is not looked at. The standardisation is folded into
        the returned layer. Raises DataError for features that are not finite.
        """
        standardised = Standardisation.of(train[0])
        inputs, targets = standardised(train[0]), self._standardised(train[1])
        middle = targets.mean(axis=0)
        weights, _ = ridge(inputs, targets - middle)
        return standardised.head(weights.T, middle)

    def naive(self, targets: np.ndarray, labels: Sequence[str]) -> np.ndarray:
        """The mean of the targets, which is 0 where they are what the task is standardised by."""
        return np.asarray(self._standardised(targets).mean(axis=0))

    def predictions(self, outputs: np.ndarray) -> np.ndarray:
        """The numbers in the user's units, (N, numbers) float64."""
        mean, scale = self._units(outputs.shape[1])
        return np.asarray(outputs.astype(np.float64) * scale + mean)

    def losses(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """The squared error of each item in standardised units, mean over the numbers. (N,)."""
        errors = (outputs.astype(np.float64) - self._standardised(targets)) ** 2
        return np.asarray(errors.mean(axis=1))

    def decode(self, outputs: np.ndarray, labels: Sequence[str]) -> list[dict[str, Any]]:
        """The numbers in the user's units: `value` where there is one, else `values` by name."""
        rows = self.predictions(outputs).tolist()
        if len(labels) == 1:
            return [{"value": row[0]} for row in rows]
        return [{"values": dict(zip(labels, row, strict=True))} for row in rows]

    def _standardised(self, targets: np.ndarray) -> np.ndarray:
        mean, scale = self._units(targets.shape[1])
        return np.asarray((targets.astype(np.float64) - mean) / scale)

    def _units(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Mean and scale of each number, (numbers,) float64."""
        mean = np.array(self.mean or [0.0] * count, dtype=np.float64)
        scale = np.array(self.scale or [1.0] * count, dtype=np.float64)
        return mean, np.where(scale > 0, scale, 1.0)
