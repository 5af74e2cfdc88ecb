"""Whether items are put in the right order: AUROC, average precision, rank correlation."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, Final, Literal, NamedTuple, final

import numpy as np

from headstart.contracts.metric import CLASSES, LABEL_SETS, NUMBERS, Metric, library_of

_SIDES: Final[tuple[Literal["left", "right"], ...]] = ("left", "right")


class _Sorted(NamedTuple):
    """Items from the lowest value to the highest; equal ones form a run with a start and an end."""

    order: np.ndarray
    starts: np.ndarray
    ends: np.ndarray

    @classmethod
    def by(cls, values: Any) -> _Sorted:
        """The order of values (N,)."""
        plain = np.asarray(values)
        order = np.argsort(plain, kind="stable")
        starts, ends = (np.searchsorted(plain[order], plain[order], side) for side in _SIDES)
        return cls(order, starts, ends)

    def below(self, weights: Any) -> tuple[Any, Any]:
        """The weight (R, N) of what is lower than each, and of what is not higher, in order."""
        sums = library_of(weights).concatenate([0.0 * weights[:, :1], weights.cumsum(1)], axis=1)
        return sums[:, self.starts], sums[:, self.ends]


def _averaged(columns: list[Any]) -> Any:
    """The mean (R,) over columns (R,) that are numbers; not a number where none is."""
    library = library_of(columns[0])
    values = library.stack(columns)
    defined = ~library.isnan(values)
    total, count = library.where(defined, values, 0.0).sum(0), defined.sum(0)
    return library.where(count > 0, total / library.clip(count, min=1), np.nan)


def _ratio(above: Any, below: Any) -> Any:
    """The ratio, not a number where there is nothing to divide by."""
    library, sound = library_of(below), below > 0
    return library.where(sound, above / library.where(sound, below, 1.0), np.nan)


class _ByClass(Metric):
    """The mean over classes or labels of how well each one's items are put before the others."""

    kinds: ClassVar[tuple[str, ...]] = (CLASSES, LABEL_SETS)
    each_class_alike: ClassVar[bool] = True
    in_arrays: ClassVar[bool] = True

    @abstractmethod
    def of_class(self, values: Any, members: Any, weights: Any) -> Any:
        """That of one class (R,), by the values and memberships (N,) of items weighed (R, N)."""

    def statistics(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Values and memberships of each class or label, side by side, (N, 2 L).

        Of two classes the second alone, as an order of the one is that of the other in reverse.
        """
        if targets.ndim > 1:
            return np.hstack([predictions, targets > 0])
        columns = np.arange(predictions.shape[1])[1 if predictions.shape[1] == 2 else 0 :]
        return np.hstack([predictions[:, columns], targets[:, None] == columns])

    def members(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """The items of each class; of each label those that have it, and the others."""
        if targets.ndim > 1:
            return np.hstack([targets > 0, targets <= 0])
        return np.asarray(targets[:, None] == np.arange(predictions.shape[1]))

    def value(self, statistics: Any, weights: Any) -> Any:
        """The mean over the classes."""
        half = statistics.shape[1] // 2
        pairs = zip(statistics[:, :half].T, statistics[:, half:].T, strict=True)
        return _averaged([self.of_class(*pair, weights) for pair in pairs])


@final
class AUROC(_ByClass):
    """How probably an item of a class gets a higher value for it than another item (Hanley 1982).

    Equal values count half. The mean over the classes or labels that some items have and others
    don't, each against the rest (Provost and Domingos 2000), as scikit-learn's `ovr`.
    """

    name: ClassVar[str] = "AUROC"
    undefined: ClassVar[float] = 0.5

    def of_class(self, values: Any, members: Any, weights: Any) -> Any:
        """The share of pairs of an item and another one that are in order."""
        place = _Sorted.by(values)
        own = weights[:, place.order] * members[place.order]
        others = weights[:, place.order] * (1 - members[place.order])
        lower, not_higher = place.below(others)
        pairs = own.sum(1) * others.sum(1)
        return _ratio((own * (lower + not_higher)).sum(1) / 2, pairs)


@final
class AveragePrecision(_ByClass):
    """The mean precision at which each item of a class is retrieved, as scikit-learn's.

    The mean over the classes or labels that some items have; of two classes, that of the second.
    """

    name: ClassVar[str] = "average precision"

    def of_class(self, values: Any, members: Any, weights: Any) -> Any:
        """The mean over the class's items of the precision down to each."""
        place = _Sorted.by(-values)
        every = weights[:, place.order]
        own = every * members[place.order]
        down_to = library_of(every).clip(place.below(every)[1], min=1e-12)
        precision = place.below(own)[1] / down_to
        return _ratio((own * precision).sum(1), own.sum(1))


@final
class Spearman(Metric):
    """The correlation of ranks (Spearman 1904), equal values sharing theirs; mean over numbers.

    Numbers that don't vary, or are answered by one value, have none.
    """

    name: ClassVar[str] = "Spearman correlation"
    kinds: ClassVar[tuple[str, ...]] = (NUMBERS,)
    bounds: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    in_arrays: ClassVar[bool] = True

    def statistics(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Predicted and true numbers side by side, (N, 2 M)."""
        return np.hstack([predictions, targets])

    def value(self, statistics: Any, weights: Any) -> Any:
        """The mean over the numbers."""
        half, library = statistics.shape[1] // 2, library_of(statistics)
        pairs = zip(statistics[:, :half].T, statistics[:, half:].T, strict=True)
        columns = []
        for pair in pairs:
            first, second = (self._ranks(values, weights) for values in pair)
            product = (weights * first * second).sum(1)
            squares = (weights * first**2).sum(1) * (weights * second**2).sum(1)
            root = library.clip(squares, min=1e-18) ** 0.5
            columns.append(_ratio(product, root * (squares > 1e-9)))
        return _averaged(columns)

    def _ranks(self, values: Any, weights: Any) -> Any:
        """Mid-ranks (R, N) of values (N,) as shares of all, less their mean."""
        place = _Sorted.by(values)
        lower, not_higher = place.below(weights[:, place.order])
        total = weights.sum(1)[:, None]
        ranks = ((lower + not_higher) / (2 * total))[:, np.argsort(place.order)]
        return ranks - (weights * ranks).sum(1)[:, None] / total
