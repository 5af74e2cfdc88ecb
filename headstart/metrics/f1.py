"""F1, the harmonic mean of precision and recall: over classes, over all answers, over items."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, final

import numpy as np

from headstart.contracts.metric import CLASSES, LABEL_SETS, Mean, Metric

if TYPE_CHECKING:  # so that frozen features need no torch
    from torch import Tensor


@final
class MacroF1(Metric):
    """The mean F1 of the classes or labels that any item has or is given, as scikit-learn's."""

    name: ClassVar[str] = "macro F1"
    kinds: ClassVar[tuple[str, ...]] = (CLASSES, LABEL_SETS)
    each_class_alike: ClassVar[bool] = True

    def statistics(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """True and predicted class, and whether they are one, (N, 3); or both sets, (N, 2 L)."""
        if targets.ndim > 1:
            return np.hstack([targets > 0, predictions > 0.5])
        answers = predictions.argmax(axis=-1)
        return np.stack([targets, answers, answers == targets], axis=1)

    def value(self, statistics: Tensor, weights: Tensor) -> Tensor:
        """Twice what is both over the sum of what is true and what is predicted, a label each."""
        import torch

        if statistics.shape[1] % 2:
            both, sizes = _of_classes(statistics, weights)
        else:
            true, predicted = statistics.chunk(2, dim=1)
            both, sizes = weights @ (true * predicted), weights @ (true + predicted)
        occurring = (sizes > 0).sum(dim=1)
        return (2 * both / sizes.clamp_min(1e-12)).sum(dim=1) / torch.where(
            occurring > 0, occurring, 1
        )


def _of_classes(statistics: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Of each class (R, classes) how many are right, and how many are true or predicted."""
    import torch

    true, predicted = statistics[:, 0].long(), statistics[:, 1].long()
    labels = int(torch.maximum(true, predicted).max()) + 1
    zeros = torch.zeros(len(weights), labels, dtype=weights.dtype)
    both = zeros.index_add(1, true, weights * statistics[:, 2])
    return both, zeros.index_add(1, true, weights).index_add(1, predicted, weights)


@final
class MicroF1(Metric):
    """The F1 of all answers taken together; for classes that is the accuracy."""

    name: ClassVar[str] = "micro F1"
    kinds: ClassVar[tuple[str, ...]] = (CLASSES, LABEL_SETS)

    def statistics(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Labels of an item that are true and predicted, and the sum of either, (N, 2)."""
        if targets.ndim == 1:
            hits = predictions.argmax(axis=-1) == targets
            return np.stack([hits, np.full(len(targets), 2.0)], axis=1)
        true, predicted = targets > 0, predictions > 0.5
        both = (true & predicted).sum(axis=1)
        return np.stack([both, true.sum(axis=1) + predicted.sum(axis=1)], axis=1)

    def value(self, statistics: Tensor, weights: Tensor) -> Tensor:
        """Twice what is both over the sum of either; 1 where no item has or is given a label."""
        import torch

        both, sizes = (weights @ statistics).unbind(dim=1)
        return torch.where(sizes > 0, 2 * both / sizes.clamp_min(1e-12), 1.0)


@final
class SetF1(Mean):
    """The mean over items of the F1 between the predicted and the true set of labels."""

    name: ClassVar[str] = "f1"
    kinds: ClassVar[tuple[str, ...]] = (LABEL_SETS,)

    def each(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """F1 between the predicted and the true set of each item, 1 where both are empty. (N,)."""
        predicted, true = predictions > 0.5, targets > 0
        both = 2.0 * (predicted & true).sum(axis=1)
        sizes = predicted.sum(axis=1) + true.sum(axis=1)
        return np.where(sizes == 0, 1.0, both / np.maximum(sizes, 1))
