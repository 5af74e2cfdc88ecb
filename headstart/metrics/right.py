"""How often the likeliest class is the right one."""

from __future__ import annotations

from typing import Any, ClassVar, final

import numpy as np

from headstart.contracts.metric import CLASSES, Mean, Metric, library_of, summed


@final
class Accuracy(Mean):
    """The share of items whose likeliest class is theirs."""

    name: ClassVar[str] = "accuracy"
    kinds: ClassVar[tuple[str, ...]] = (CLASSES,)

    def each(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """1 where the likeliest class is the item's, else 0. (N,)."""
        return np.asarray(predictions.argmax(axis=-1) == targets, dtype=np.float64)


@final
class BalancedAccuracy(Metric):
    """The mean over the classes of the share of their items that is right (Brodersen et al. 2010).

    Classes without items don't count.
    """

    name: ClassVar[str] = "balanced accuracy"
    kinds: ClassVar[tuple[str, ...]] = (CLASSES,)
    each_class_alike: ClassVar[bool] = True
    of_right: ClassVar[bool] = True
    in_arrays: ClassVar[bool] = True

    def statistics(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """The class of each item, and whether it is answered, (N, 2)."""
        return np.stack([targets, predictions.argmax(axis=-1) == targets], axis=1)

    def value(self, statistics: Any, weights: Any) -> Any:
        """The mean of the recalls of the classes that have items."""
        own = np.asarray(statistics[:, 0]).astype(np.int64)
        count = int(own.max()) + 1
        items = summed(weights, own, count)
        right = summed(weights * statistics[:, 1], own, count)
        recalls = right / library_of(items).clip(items, min=1e-12)
        return recalls.sum(1) / (items > 0).sum(1)

    def scores(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """The number plus each item's influence: how far it is from its class's recall, (N,).

        Influences of n items are larger by sqrt(n / (n - 1)), so that their variance is that of
        other items of the class. Classes of one item say nothing of it: they are taken as one.
        Where there is a single class, scores are 0 and 1 as those of accuracy.
        """
        if not len(targets):
            return np.empty(0)
        own, right = self.statistics(predictions, targets).astype(np.int64).T
        items = np.bincount(own)
        recalls = np.bincount(own, right) / np.maximum(items, 1)
        classes, alone = int((items > 0).sum()), items[own] == 1
        if classes == 1:
            return np.asarray(right, dtype=np.float64)
        count = np.where(alone, alone.sum(), items[own])
        centre = np.where(alone, right[alone].mean() if alone.any() else 0.0, recalls[own])
        influence = (right - centre) * np.sqrt(count / np.maximum(count - 1, 1))
        influence *= len(own) / (classes * items[own])
        return np.asarray(recalls.sum() / classes + influence)
