"""Classification: one label an item."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from headstart.contracts import Batch, Examples, Step, Task
from headstart.errors import DataError
from headstart.model import Model

# Inverse regularisation strengths tried by the probe, on standardised features.
PROBE_STRENGTHS = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 1.0)
_WORTH_THREADS = 50_000_000  # numbers in the features; with fewer, threads wait more than work
PROBE_PATIENCE = 2  # strengths in a row that brought nothing; the weakest are the dearest to fit


@final
class Classification(Task):
    """Softmax cross-entropy, scored by accuracy; `weights` holds one weight a label.

    `smoothing` is the share of each target that is spread over all labels while training (Szegedy
    et al. 2016).
    """

    metric: ClassVar[str] = "accuracy"

    def __init__(self, weights: tuple[float, ...] | None = None, smoothing: float = 0.0) -> None:
        self.weights = weights
        self.smoothing = smoothing

    def head(self, feature_dim: int, labels: Sequence[str]) -> nn.Module:
        """A linear layer to one output a label, zero at the start (Kolesnikov et al. 2020)."""
        layer = nn.Linear(feature_dim, len(labels))
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
        return layer

    def step(self, model: Model, batch: Batch) -> Step:
        """One forward pass over a batch, with the class-weighted mean loss in full precision."""
        features = model.features(batch.inputs, batch.start)
        outputs: Tensor = model.head(features)
        weights = None
        if self.weights is not None:
            weights = torch.tensor(self.weights, dtype=torch.float32, device=outputs.device)
        loss = functional.cross_entropy(
            outputs.float(), batch.targets, weight=weights, label_smoothing=self.smoothing
        )
        return Step(outputs, loss, features)

    def probe(self, train: Examples, validation: Examples, labels: Sequence[str]) -> nn.Module:
        """Multinomial logistic regression on standardised features.

        The strength is picked by the loss on validation, which is steadier than the score on few
        items: from the strongest regularisation on, until it has got worse twice. The
        standardisation is folded into the returned layer. Raises DataError for features that are
        not finite.
        """
        if not np.isfinite(train[0]).all():
            raise DataError(
                "The features of some training items are not finite numbers. "
                "Name other weights, or --precision fp32."
            )
        mean = train[0].mean(axis=0, dtype=np.float64)
        scale = train[0].std(axis=0, dtype=np.float64) + 1e-6
        # L-BFGS works in double precision; features in single would be converted at every step
        kind = np.float64 if train[0].size < _WORTH_THREADS else np.float32
        inputs, checked = (
            ((part[0] - mean) / scale).astype(kind, copy=False) for part in (train, validation)
        )
        tried: list[tuple[float, np.ndarray, np.ndarray]] = []
        for weight, bias in self._solutions(inputs, train[1], len(labels)):
            outputs = checked @ weight.T + bias
            tried.append((float(self.losses(outputs, validation[1]).mean()), weight, bias))
            best = min(range(len(tried)), key=lambda place: tried[place][0])
            if len(tried) - 1 - best == PROBE_PATIENCE:
                break
        _, weight, bias = tried[best]
        layer = nn.Linear(inputs.shape[1], len(labels))
        weight = weight / scale
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(weight))
            layer.bias.copy_(torch.from_numpy(bias - weight @ mean))
        return layer

    def _solutions(
        self, inputs: np.ndarray, targets: np.ndarray, count: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Weight (labels, D) and bias (labels,) for each strength, each from the one before."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        given = dict(enumerate(self.weights)) if self.weights is not None else None
        solver = LogisticRegression(max_iter=200, warm_start=True, tol=1e-3, class_weight=given)
        for strength in PROBE_STRENGTHS:
            solver.set_params(C=strength)
            with warnings.catch_warnings(), _threads(inputs.size):
                warnings.simplefilter("ignore", ConvergenceWarning)  # validation judges the result
                solver.fit(inputs, targets)
            weight = np.zeros((count, inputs.shape[1]))
            bias = np.full(count, -30.0)  # a label without training examples is never predicted
            if len(solver.classes_) == 2:
                weight[solver.classes_] = np.concatenate([-solver.coef_, solver.coef_]) / 2
                bias[solver.classes_] = np.concatenate([-solver.intercept_, solver.intercept_]) / 2
            else:
                weight[solver.classes_], bias[solver.classes_] = solver.coef_, solver.intercept_
            yield weight, bias

    def weighted(self, weights: tuple[float, ...]) -> Classification:
        """The same task with one weight a label in the loss and the probe."""
        return Classification(weights, self.smoothing)

    def naive(self, targets: np.ndarray, labels: Sequence[str]) -> np.ndarray:
        """Log frequencies of the labels: always answers the commonest one. Shape (labels,)."""
        counts = np.bincount(targets, minlength=len(labels))
        return np.asarray(np.log((counts + 1e-3) / counts.sum()))

    def scores(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """1 where the highest output is the target, else 0. Shape (N,)."""
        return np.asarray(outputs.argmax(axis=-1) == targets, dtype=np.float64)

    def losses(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Cross-entropy of each item. Shape (N,)."""
        top = outputs.max(axis=-1, keepdims=True)
        total = top[:, 0] + np.log(np.exp(outputs - top).sum(axis=-1))
        return np.asarray(total - np.take_along_axis(outputs, targets[:, None], axis=-1)[:, 0])

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


def _threads(numbers: int) -> AbstractContextManager[object]:
    """One thread for small products: more of them wait for one another longer than they compute."""
    from threadpoolctl import threadpool_limits

    limit: AbstractContextManager[object] = threadpool_limits(
        1 if numbers < _WORTH_THREADS else None
    )
    return limit
