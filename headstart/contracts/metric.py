"""What a model's answers to many items are worth, in one number."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np

CLASSES, NUMBERS, LABEL_SETS, BOXES = "classes", "numbers", "label sets", "boxes"
SEQUENCES = "sequences"
_DIGITS = 12  # what is less is rounding


class Metric(ABC):
    """One number from what each item adds to it, so that it can be had for any resample of items.

    `name` is how it is shown; `kinds` are the kinds of target that it judges; `bounds` what it can
    be; `undefined` stands where items can't tell, such as an AUROC over items of one class.
    `each_class_alike` says that rare classes count as much as frequent ones, so that fitting may
    weigh them; `resampled`, that intervals come from resampling items, not from `scores`, unless it
    is a mean over classes `of_right` answers, whose `statistics` are the class and 0 or 1;
    `of_squares`, that it is the root of a mean of squared errors;
    `in_arrays`, that `value` computes with NumPy's arrays as with tensors, so that numbers and
    intervals need no torch.

    Predictions are what the task says: for classes and label sets the probabilities (N, labels),
    for numbers the values (N, numbers) in the user's units. Targets are class numbers (N,),
    memberships (N, labels) of 0 and 1, or numbers (N, numbers). For boxes see
    `contracts.boxes`, for texts `contracts.sequences`.
    """

    name: ClassVar[str]
    kinds: ClassVar[tuple[str, ...]]
    less_is_better: ClassVar[bool] = False
    each_class_alike: ClassVar[bool] = False
    resampled: ClassVar[bool] = True
    of_right: ClassVar[bool] = False
    of_squares: ClassVar[bool] = False
    in_arrays: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    undefined: ClassVar[float] = 0.0

    @abstractmethod
    def statistics(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """What of each item the number is made of, (N, K)."""

    @abstractmethod
    def value(self, statistics: Any, weights: Any) -> Any:
        """The number (R,) of R samples in which item n is held `weights[r, n]` times.

        `statistics` (N, K) and `weights` (R, N) are tensors of float64, or arrays where it computes
        `in_arrays`. It must not change where all weights
        of a sample are multiplied by one number, and have a slope in them; it is not a number where
        a sample can't tell.
        """

    def signature(self, targets: np.ndarray) -> str:
        """How exactly it counts, where others count otherwise; empty where there is one way."""
        return ""

    def members(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray | None:
        """Which items (N, K) say what each of K parts is, of which this is the mean; None for all.

        By them intervals know how few items may decide.
        """
        return None

    def of(self, predictions: np.ndarray, targets: np.ndarray) -> float:
        """The number of these items."""
        whole = np.ones((1, len(targets)))
        value = float(self.resamples(predictions, targets, whole)[0])
        return self.undefined if np.isnan(value) else value

    def resamples(
        self, predictions: np.ndarray, targets: np.ndarray, weights: np.ndarray
    ) -> np.ndarray:
        """The number (R,) of samples that hold each item so many times, (R, N)."""
        return self.values(self.statistics(predictions, targets), weights)

    def values(self, statistics: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """The same from what items add to it, (N, K)."""
        if self.in_arrays:
            plain = (np.asarray(each, np.float64) for each in (statistics, weights))
            return np.asarray(self.value(*plain))
        import torch

        with torch.inference_mode():
            numbers = (torch.from_numpy(each.astype(np.float64)) for each in (statistics, weights))
            return np.asarray(self.value(*numbers).numpy())

    def scores(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """One number an item (N,), more is better: their mean is the metric's, or minus that.

        Their spread is that of its estimate: each is the number plus the item's influence on it
        (Jaeckel 1972, the infinitesimal jackknife), by the slope in the item's weight.
        """
        import torch

        count = len(targets)
        if not count:
            return np.empty(0)
        with torch.inference_mode(False), torch.enable_grad():
            weights = torch.ones((1, count), dtype=torch.float64, requires_grad=True)
            statistics = torch.from_numpy(self.statistics(predictions, targets).astype(np.float64))
            value = self.value(statistics, weights).sum()
            (slope,) = torch.autograd.grad(value, weights)
        influence = count * np.nan_to_num(slope[0].numpy())
        middle = self.undefined if torch.isnan(value) else float(value.detach())
        sign = -1 if self.less_is_better else 1
        return np.asarray(sign * np.round(middle + influence - influence.mean(), _DIGITS))


def library_of(values: Any) -> Any:
    """NumPy for its arrays, torch for its tensors: both know most functions by one name."""
    return np if isinstance(values, np.ndarray) else sys.modules["torch"]


def summed(weights: Any, groups: np.ndarray, count: int) -> Any:
    """The weights (R, N) of the items in each of so many groups, (R, count); `groups` is (N,)."""
    if isinstance(weights, np.ndarray):
        return np.stack([np.bincount(groups, row, count) for row in weights])
    places = library_of(weights).from_numpy(groups)
    return weights.new_zeros(len(weights), count).index_add(1, places, weights)


class Mean(Metric):
    """A metric that is the mean of one number an item."""

    resampled: ClassVar[bool] = False
    in_arrays: ClassVar[bool] = True

    @abstractmethod
    def each(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """The number of each item, (N,)."""

    def statistics(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """The number of each item, (N, 1)."""
        return self.each(predictions, targets)[:, None]

    def value(self, statistics: Any, weights: Any) -> Any:
        """The mean."""
        return weights @ statistics[:, 0] / weights.sum(1)

    def scores(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """The number of each item, or minus that where less is better."""
        values = self.each(predictions, targets)
        return -values if self.less_is_better else values
