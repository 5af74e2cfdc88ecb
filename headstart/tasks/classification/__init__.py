"""Classification: one label an item; `multi_label` holds its sister, a set of labels an item."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np

from headstart.contracts import Examples, Task
from headstart.contracts.frozen import LinearHead
from headstart.contracts.standardisation import label_shares
from headstart.tasks.classification import many, probe
from headstart.tasks.classification.logistic import Regression, softmax
from headstart.tasks.classification.probe import Solver

if TYPE_CHECKING:  # so that a saved model answers without torch
    from torch import Tensor, nn

    from headstart.contracts.model import Batch, Model, Step


@final
class Classification(Task):
    """Softmax cross-entropy, judged by accuracy; `weights` holds one weight a label.

    With `balanced` each label counts as much as another in its losses, too, and it is judged by
    balanced accuracy unless another metric is named.

    `smoothing` is the share of each target that is spread over all labels while training (Szegedy
    et al. 2016).
    """

    kind: ClassVar[str] = "classes"
    cross_validates: ClassVar[bool] = True

    def __init__(
        self,
        weights: tuple[float, ...] | None = None,
        smoothing: float = 0.0,
        balanced: bool = False,
    ) -> None:
        self.weights = weights
        self.smoothing = smoothing
        self.balanced = balanced

    @property
    def own_metric(self) -> str:  # type: ignore[override] # of this setting
        """What it is judged by where the user names no metric."""
        return f"headstart.metrics.right:{'BalancedAccuracy' if self.balanced else 'Accuracy'}"

    def head(self, feature_dim: int, labels: Sequence[str]) -> nn.Module:
        """A linear layer to one output a label, zero at the start."""
        return probe.zero_head(feature_dim, len(labels))

    def step(self, model: Model, batch: Batch) -> Step:
        """One forward pass over a batch, with the class-weighted mean loss in full precision."""
        import torch
        from torch.nn import functional

        from headstart.contracts.model import Step

        features = model.features(batch.inputs, batch.start)
        outputs: Tensor = model.head(features)
        weights = None
        if self.weights is not None:
            weights = torch.tensor(self.weights, dtype=torch.float32, device=outputs.device)
        loss = functional.cross_entropy(
            outputs.float(), batch.targets, weight=weights, label_smoothing=self.smoothing
        )
        return Step(outputs, loss, features, batch.targets)

    def probe(self, train: Examples, validation: Examples, labels: Sequence[str]) -> nn.Module:
        """The same as `linear_probe`, in torch."""
        return self.linear_probe(train, validation, labels).layer()

    def linear_probe(
        self, train: Examples, validation: Examples, labels: Sequence[str]
    ) -> LinearHead:
        """Multinomial logistic regression on standardised features, its strength picked.

        By cross-validation over the training items: validation is not looked at. Raises DataError
        for features that are not finite.
        """
        return probe.fit_probe(train, partial(self._solver, train[1], len(labels)), self)

    def _solver(self, targets: np.ndarray, labels: int, inputs: np.ndarray) -> Solver:
        counts = np.ones(len(targets)) if self.weights is None else np.array(self.weights)[targets]
        if len(inputs) * labels > many.MANY:
            return many.Blocks(inputs, targets, counts, labels)
        memberships = np.zeros((len(targets), labels))
        memberships[np.arange(len(targets)), targets] = 1.0
        return Regression.of(inputs, memberships, counts, softmax)

    def naive(self, targets: np.ndarray, labels: Sequence[str]) -> np.ndarray:
        """Log frequencies of the labels: always answers the commonest one. Shape (labels,)."""
        counts = np.bincount(targets, minlength=len(labels))
        return np.asarray(np.log((counts + 1e-3) / counts.sum()))

    def predictions(self, outputs: np.ndarray) -> np.ndarray:
        """The probability of each label, (N, labels) float64; the highest where the output is."""
        shifted = np.exp(outputs.astype(np.float64) - outputs.max(axis=-1, keepdims=True))
        shares = shifted / shifted.sum(axis=-1, keepdims=True)
        likeliest = outputs.argmax(axis=-1)
        tied = np.flatnonzero(shares.argmax(axis=-1) != likeliest)
        shares[tied, likeliest[tied]] = np.nextafter(shares[tied].max(axis=-1), 2.0)
        return np.asarray(shares)

    def losses(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Cross-entropy of each item, times its label's share if balanced. Shape (N,)."""
        top = outputs.max(axis=-1, keepdims=True)
        total = top[:, 0] + np.log(np.exp(outputs - top).sum(axis=-1))
        surprise = total - np.take_along_axis(outputs, targets[:, None], axis=-1)[:, 0]
        return np.asarray(surprise * label_shares(targets) if self.balanced else surprise)

    def decode(self, outputs: np.ndarray, labels: Sequence[str]) -> list[dict[str, Any]]:
        """The likeliest label of each item, its probability, and those of all labels."""
        shifted = np.exp(outputs - outputs.max(axis=-1, keepdims=True))
        shares = shifted / shifted.sum(axis=-1, keepdims=True)
        likeliest = outputs.argmax(axis=-1)  # shares may round to ties where outputs have none
        return [
            {
                "label": labels[best],
                "probability": float(row[best]),
                "probabilities": {name: float(p) for name, p in zip(labels, row, strict=True)},
            }
            for best, row in zip(likeliest.tolist(), shares, strict=True)
        ]
