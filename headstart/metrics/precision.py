"""COCO's average precision of boxes: over overlaps, at one of them, and by the size of objects."""

from __future__ import annotations

from abc import ABC
from typing import TYPE_CHECKING, ClassVar, Final, final

import numpy as np

from headstart.contracts import Metric
from headstart.contracts.boxes import FOUND, MISSED, counted, matches

if TYPE_CHECKING:  # so that a saved model answers without torch
    from torch import Tensor

_EVERY: Final = tuple(float(each) for each in np.linspace(0.5, 0.95, 10))
_POINTS: Final = 101  # recalls at which precision is read
_SMALL, _LARGE = 32.0**2, 96.0**2  # px²
_FRONT: Final = 2  # numbers before the boxes: how many, and how many objects


class _Precision(Metric, ABC):
    """The mean over classes of the precision that is reached at 101 recalls (Lin et al. 2014).

    Predictions are boxes (N, K, 6), targets the objects (N, 1 + M, 5). It is the mean over
    `thresholds` of the overlap, of objects whose `area` is in bounds. Its slope in an item's weight
    is that of the area under the curve.
    """

    kinds: ClassVar[tuple[str, ...]] = ("boxes",)
    thresholds: ClassVar[tuple[float, ...]] = _EVERY
    area: ClassVar[tuple[float, float]] = (0.0, float("inf"))

    def statistics(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """How many boxes and objects; of each box score, class and matches; objects' classes."""
        count, most, objects = len(targets), predictions.shape[1], targets.shape[1] - 1
        matched = matches(predictions, targets, np.array(self.thresholds), self.area)
        answers = np.concatenate([predictions[..., 4:6], matched], axis=2).reshape(count, -1)
        front = np.full((count, _FRONT), [most, objects])
        rows = np.concatenate([front, answers, counted(targets, self.area)], axis=1)
        return rows.astype(np.float64)

    def value(self, statistics: Tensor, weights: Tensor) -> Tensor:
        """The mean over classes and overlaps; not a number without an object."""
        import torch

        most, objects = (int(each) for each in statistics[0, :_FRONT])
        width = 2 + len(self.thresholds)
        boxes = statistics[:, _FRONT : _FRONT + most * width].reshape(-1, width)
        items = torch.arange(len(statistics)).repeat_interleave(most)
        kinds = statistics[:, -objects:]
        values = []
        for number in torch.unique(kinds[kinds >= 0]).tolist():
            there = weights @ (kinds == number).sum(1).to(weights)
            own = (boxes[:, 1] == number) & (boxes[:, 0] > 0)
            order = torch.argsort(-boxes[own, 0], stable=True)
            ordered, places = boxes[own][order], items[own][order]
            values.append(_of_class(ordered[:, 2:], weights[:, places], there))
        if not values:
            return torch.full_like(weights[:, 0], torch.nan)
        return torch.stack(values).nanmean(dim=0)


def _of_class(hit_table: Tensor, weights: Tensor, there: Tensor) -> Tensor:
    """The mean over overlaps: `hit_table` (D, T), `weights` (R, D) of their items, `there` (R,)."""
    import torch

    means = []
    for column in hit_table.T:
        hits = torch.nonzero(column == FOUND).flatten()
        if not len(hits):
            means.append(0.0 * there + 0.0 * weights.sum(1))
            continue
        end = int(hits[-1]) + 1  # what comes behind the last hit changes nothing
        own, part = column[:end], weights[:, :end]
        right = (part * (own == FOUND)).cumsum(1)
        total = right + (part * (own == MISSED)).cumsum(1)
        recall = right / there[:, None]
        precision = right / total.clamp(min=1e-12)
        envelope = precision.flip(1).cummax(1).values.flip(1)
        means.append(_read(recall, envelope))
    mean = torch.stack(means).mean(dim=0)
    return torch.where(there > 0, mean, torch.nan)


def _read(recall: Tensor, envelope: Tensor) -> Tensor:
    """The precision at 101 recalls, with the slope of the area."""
    import torch

    points = torch.from_numpy(np.linspace(0, 1, _POINTS)).to(recall).repeat(len(recall), 1)
    places = torch.searchsorted(recall.detach().nan_to_num(0.0).contiguous(), points)
    inside = places < recall.shape[1]
    precisions = envelope.gather(1, places.clamp(max=recall.shape[1] - 1)) * inside
    exact = precisions.mean(dim=1).detach()
    if not recall.requires_grad:
        return exact
    steps = torch.diff(recall, dim=1, prepend=torch.zeros_like(recall[:, :1]))
    area = (envelope * steps).sum(dim=1)
    return exact + area - area.detach()


@final
class AP(_Precision):
    """Over overlaps from .50 to .95."""

    name: ClassVar[str] = "AP"


@final
class AP50(_Precision):
    """At an overlap of .50."""

    name: ClassVar[str] = "AP50"
    thresholds: ClassVar[tuple[float, ...]] = (0.5,)


@final
class AP75(_Precision):
    """At an overlap of .75."""

    name: ClassVar[str] = "AP75"
    thresholds: ClassVar[tuple[float, ...]] = (0.75,)


@final
class APSmall(_Precision):
    """Of objects under 32² pixels."""

    name: ClassVar[str] = "AP-small"
    area: ClassVar[tuple[float, float]] = (0.0, _SMALL)


@final
class APMedium(_Precision):
    """Of objects from 32² to 96² pixels."""

    name: ClassVar[str] = "AP-medium"
    area: ClassVar[tuple[float, float]] = (_SMALL, _LARGE)


@final
class APLarge(_Precision):
    """Of objects over 96² pixels."""

    name: ClassVar[str] = "AP-large"
    area: ClassVar[tuple[float, float]] = (_LARGE, float("inf"))
