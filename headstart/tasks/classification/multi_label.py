"""Multi-label classification: a set of labels an item."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np

from headstart.contracts import Examples, Task
from headstart.contracts.frozen import LinearHead
from headstart.tasks.classification import probe
from headstart.tasks.classification.logistic import Regression, sigmoid

if TYPE_CHECKING:  # so that a saved model answers without torch
    from torch import Tensor, nn

    from headstart.contracts.model import Batch, Model, Step

_MORE = np.nextafter(0.5, 1.0)  # than one half, where odds above even would be rounded to it


@final
class MultiLabel(Task):
    """Binary cross-entropy for each label, judged by the F1 between predicted and true sets.

    A label is predicted where its output, the log odds, is above 0.
    """

    own_metric: ClassVar[str] = "headstart.metrics.f1:SetF1"
    kind: ClassVar[str] = "label sets"
    cross_validates: ClassVar[bool] = True

    def head(self, feature_dim: int, labels: Sequence[str]) -> nn.Module:
        """A linear layer to one output a label, zero at the start."""
        return probe.zero_head(feature_dim, len(labels))

    def step(self, model: Model, batch: Batch) -> Step:
        """One forward pass over a batch, with the mean loss in full precision."""
        from torch.nn import functional

        from headstart.contracts.model import Step

        features = model.features(batch.inputs, batch.start)
        outputs: Tensor = model.head(features)
        loss = functional.binary_cross_entropy_with_logits(outputs.float(), batch.targets.float())
        return Step(outputs, loss, features, batch.targets)

    def probe(self, train: Examples, validation: Examples, labels: Sequence[str]) -> nn.Module:
        """The same as `linear_probe`, in torch."""
        return self.linear_probe(train, validation, labels).layer()

    def linear_probe(
        self, train: Examples, validation: Examples, labels: Sequence[str]
    ) -> LinearHead:
        """One logistic regression a label on standardised features, one strength for all of them.

        It is picked by cross-validation over the training items: validation is not looked at. A
        label that all training items have, or none, is always or never predicted. Raises DataError
        for features that are not finite.
        """
        targets, counts = train[1].astype(np.float64), np.ones(len(train[1]))
        return probe.fit_probe(
            train, lambda inputs: Regression.of(inputs, targets, counts, sigmoid), self
        )

    def naive(self, targets: np.ndarray, labels: Sequence[str]) -> np.ndarray:
        """Log odds of each label's frequency. Shape (labels,)."""
        share = targets.mean(axis=0, dtype=np.float64).clip(1e-6, 1 - 1e-6)
        return np.asarray(np.log(share) - np.log1p(-share))

    def predictions(self, outputs: np.ndarray) -> np.ndarray:
        """The probability of each label, (N, labels) float64; above one half where predicted."""
        shares = np.exp(-np.logaddexp(0, -outputs.astype(np.float64)))
        return np.where(outputs > 0, np.maximum(shares, _MORE), shares)

    def losses(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Binary cross-entropy of each item, mean over the labels. Shape (N,)."""
        odds = outputs.astype(np.float64)
        return np.asarray((np.logaddexp(0, odds) - odds * targets).mean(axis=1))

    def decode(self, outputs: np.ndarray, labels: Sequence[str]) -> list[dict[str, Any]]:
        """The predicted labels of each item, and the probability of each label."""
        shares = np.exp(-np.logaddexp(0, -outputs.astype(np.float64)))
        return [
            {
                "labels": [name for name, odds in zip(labels, row, strict=True) if odds > 0],
                "probabilities": dict(zip(labels, share, strict=True)),
            }
            for row, share in zip(outputs.tolist(), shares.tolist(), strict=True)
        ]
