"""F1, the harmonic mean of precision and recall: over classes, over all answers, over items."""

from __future__ import annotations

from typing import Any, ClassVar, final

import numpy as np

from headstart.contracts.metric import (
    CLASSES,
    LABEL_SETS,
    Mean,
    Metric,
    library_of,
    summed,
)


@final
class MacroF1(Metric):
    """The mean F1 of the classes or labels that any item has or is given, as scikit-learn's."""

    name: ClassVar[str] = "macro F1"
    kinds: ClassVar[tuple[str, ...]] = (CLASSES, LABEL_SETS)
    each_class_alike: ClassVar[bool] = True
    in_arrays: ClassVar[bool] = True

    def statistics(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """True and predicted class, and whether they are one, (N, 3); or both sets, (N, 2 L)."""
        if targets.ndim > 1:
            return np.hstack([targets > 0, predictions > 0.5])
        answers = predictions.argmax(axis=-1)
        return np.stack([targets, answers, answers == targets], axis=1)

    def members(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """What is true or predicted of each label."""
        if targets.ndim > 1:
            return np.asarray((targets > 0) | (predictions > 0.5))
        labels, answers = np.arange(predictions.shape[1]), predictions.argmax(axis=-1)
        return np.asarray((targets[:, None] == labels) | (answers[:, None] == labels))

    def value(self, statistics: Any, weights: Any) -> Any:
        """Twice what is both over the sum of what is true and what is predicted, a label each."""
        if statistics.shape[1] % 2:
            both, sizes = _of_classes(statistics, weights)
        else:
            half = statistics.shape[1] // 2
            true, predicted = statistics[:, :half], statistics[:, half:]
            both, sizes = weights @ (true * predicted), weights @ (true + predicted)
        library = library_of(sizes)
        each = 2 * both / library.clip(sizes, min=1e-12)
        return each.sum(1) / library.clip((sizes > 0).sum(1), min=1)


def _of_classes(statistics: Any, weights: Any) -> tuple[Any, Any]:
    """Of each class (R, classes) how many are right, and how many are true or predicted."""
    true, predicted = np.asarray(statistics[:, :2]).astype(np.int64).T
    labels = int(np.maximum(true, predicted).max()) + 1
    both = summed(weights * statistics[:, 2], true, labels)
    return both, summed(weights, true, labels) + summed(weights, predicted, labels)


@final
class MicroF1(Metric):
    """The F1 of all answers taken together; for classes that is the accuracy."""

    name: ClassVar[str] = "micro F1"
    kinds: ClassVar[tuple[str, ...]] = (CLASSES, LABEL_SETS)
    in_arrays: ClassVar[bool] = True

    def statistics(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Labels of an item that are true and predicted, and the sum of either, (N, 2)."""
        if targets.ndim == 1:
            hits = predictions.argmax(axis=-1) == targets
            return np.stack([hits, np.full(len(targets), 2.0)], axis=1)
        true, predicted = targets > 0, predictions > 0.5
        both = (true & predicted).sum(axis=1)
        return np.stack([both, true.sum(axis=1) + predicted.sum(axis=1)], axis=1)

    def value(self, statistics: Any, weights: Any) -> Any:
        """Twice what is both over the sum of either; 1 where no item has or is given a label."""
        both, sizes = (weights @ statistics).T
        library = library_of(sizes)
        return library.where(sizes > 0, 2 * both / library.clip(sizes, min=1e-12), 1.0)


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
