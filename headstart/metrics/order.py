"""Whether items are put in the right order: AUROC, average precision, rank correlation."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, NamedTuple, final

import numpy as np

from headstart.contracts.metric import CLASSES, LABEL_SETS, NUMBERS, Metric

if TYPE_CHECKING:  # so that frozen features need no torch
    from torch import Tensor


class _Sorted(NamedTuple):
    """Items from the lowest value to the highest; equal ones form a run with a start and an end."""

    order: Tensor
    starts: Tensor
    ends: Tensor

    @classmethod
    def by(cls, values: Tensor) -> _Sorted:
        """The order of values (N,)."""
        import torch

        ordered, order = torch.sort(values)
        starts = torch.searchsorted(ordered, ordered, right=False)
        return cls(order, starts, torch.searchsorted(ordered, ordered, right=True))

    def below(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        """The weight (R, N) of what is lower than each, and of what is not higher, in order."""
        from torch.nn import functional

        sums = functional.pad(weights.cumsum(dim=1), (1, 0))
        return sums[:, self.starts], sums[:, self.ends]


def _averaged(columns: list[Tensor]) -> Tensor:
    """The mean (R,) over columns (R,) that are numbers; not a number where none is."""
    import torch

    values = torch.stack(columns)
    defined = ~torch.isnan(values)
    total = torch.where(defined, values, 0.0).sum(dim=0)
    return torch.where(defined.any(dim=0), total / defined.sum(dim=0).clamp_min(1), torch.nan)


def _ratio(above: Tensor, below: Tensor) -> Tensor:
    """The ratio, not a number where there is nothing to divide by."""
    import torch

    sound = below > 0
    return torch.where(sound, above / torch.where(sound, below, 1.0), torch.nan)


class _ByClass(Metric):
    """The mean over classes or labels of how well each one's items are put before the others."""

    kinds: ClassVar[tuple[str, ...]] = (CLASSES, LABEL_SETS)
    each_class_alike: ClassVar[bool] = True

    @abstractmethod
    def of_class(self, values: Tensor, members: Tensor, weights: Tensor) -> Tensor:
        """That of one class (R,), by the values and memberships (N,) of items weighed (R, N)."""

    def statistics(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Values and memberships of each class or label, side by side, (N, 2 L).

        Of two classes the second alone, as an order of the one is that of the other in reverse.
        """
        if targets.ndim > 1:
            return np.hstack([predictions, targets > 0])
        columns = np.arange(predictions.shape[1])[1 if predictions.shape[1] == 2 else 0 :]
        return np.hstack([predictions[:, columns], targets[:, None] == columns])

    def value(self, statistics: Tensor, weights: Tensor) -> Tensor:
        """The mean over the classes."""
        values, members = statistics.chunk(2, dim=1)
        pairs = zip(values.T, members.T, strict=True)
        return _averaged([self.of_class(*pair, weights) for pair in pairs])


@final
class AUROC(_ByClass):
    """How probably an item of a class gets a higher value for it than another item (Hanley 1982).

    Equal values count half. The mean over the classes or labels that some items have and others
    don't, each against the rest (Provost and Domingos 2000), as scikit-learn's `ovr`.
    """

    name: ClassVar[str] = "AUROC"
    undefined: ClassVar[float] = 0.5

    def of_class(self, values: Tensor, members: Tensor, weights: Tensor) -> Tensor:
        """The share of pairs of an item and another one that are in order."""
        place = _Sorted.by(values)
        own = weights[:, place.order] * members[place.order]
        others = weights[:, place.order] * (1 - members[place.order])
        lower, not_higher = place.below(others)
        pairs = own.sum(dim=1) * others.sum(dim=1)
        return _ratio((own * (lower + not_higher)).sum(dim=1) / 2, pairs)


@final
class AveragePrecision(_ByClass):
    """The mean precision at which each item of a class is retrieved, as scikit-learn's.

    The mean over the classes or labels that some items have; of two classes, that of the second.
    """

    name: ClassVar[str] = "average precision"

    def of_class(self, values: Tensor, members: Tensor, weights: Tensor) -> Tensor:
        """The mean over the class's items of the precision down to each."""
        place = _Sorted.by(-values)
        every = weights[:, place.order]
        own = every * members[place.order]
        precision = place.below(own)[1] / place.below(every)[1].clamp_min(1e-12)
        return _ratio((own * precision).sum(dim=1), own.sum(dim=1))


@final
class Spearman(Metric):
    """The correlation of ranks (Spearman 1904), equal values sharing theirs; mean over numbers.

    Numbers that don't vary, or are answered by one value, have none.
    """

    name: ClassVar[str] = "Spearman correlation"
    kinds: ClassVar[tuple[str, ...]] = (NUMBERS,)
    bounds: ClassVar[tuple[float, float]] = (-1.0, 1.0)

    def statistics(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Predicted and true numbers side by side, (N, 2 M)."""
        return np.hstack([predictions, targets])

    def value(self, statistics: Tensor, weights: Tensor) -> Tensor:
        """The mean over the numbers."""
        answers, truth = statistics.chunk(2, dim=1)
        pairs = zip(answers.T, truth.T, strict=True)
        columns = []
        for pair in pairs:
            first, second = (self._ranks(values, weights) for values in pair)
            product = (weights * first * second).sum(dim=1)
            squares = (weights * first**2).sum(dim=1) * (weights * second**2).sum(dim=1)
            columns.append(_ratio(product, squares.clamp_min(1e-18).sqrt() * (squares > 1e-9)))
        return _averaged(columns)

    def _ranks(self, values: Tensor, weights: Tensor) -> Tensor:
        """Mid-ranks (R, N) of values (N,) as shares of all, less their mean."""
        import torch

        place = _Sorted.by(values)
        lower, not_higher = place.below(weights[:, place.order])
        total = weights.sum(dim=1, keepdim=True)
        ranks = ((lower + not_higher) / (2 * total))[:, torch.argsort(place.order)]
        return ranks - (weights * ranks).sum(dim=1, keepdim=True) / total
