"""How often the likeliest class is the right one."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, final

import numpy as np

from headstart.contracts.metric import CLASSES, Mean, Metric

if TYPE_CHECKING:  # so that frozen features need no torch
    from torch import Tensor


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
    resampled: ClassVar[bool] = False

    def statistics(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """The class of each item, and whether it is answered, (N, 2)."""
        return np.stack([targets, predictions.argmax(axis=-1) == targets], axis=1)

    def value(self, statistics: Tensor, weights: Tensor) -> Tensor:
        """The mean of the recalls of the classes that have items."""
        import torch

        own = statistics[:, 0].long()
        zeros = torch.zeros(len(weights), int(own.max()) + 1, dtype=weights.dtype)
        items = zeros.index_add(1, own, weights)
        right = zeros.index_add(1, own, weights * statistics[:, 1])
        return (right / items.clamp_min(1e-12)).sum(dim=1) / (items > 0).sum(dim=1)
