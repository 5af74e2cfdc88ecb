"""Heads that no gradient trains: what one offers, what it is fitted to, and what several share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from headstart.errors import DataError, WeightsError

SURE = 30.0  # log odds of what training never contradicts
_SOUND = 1e-8  # of the longest axis, squared: shorter ones are rounding


@dataclass(frozen=True)
class Shape:
    """What a head maps: `width` features to `labels` outputs, for a kind of target.

    `kind` is "classes", "numbers" or "label sets".
    """

    kind: str
    width: int
    labels: int


@dataclass(frozen=True)
class TrainingSet:
    """Features (N, D) float32 with their targets, and how much each item counts, (N,).

    Targets are (N,) class numbers, (N, labels) standardised numbers, or (N, labels) of 0 and 1.
    """

    features: np.ndarray
    targets: np.ndarray
    weights: np.ndarray
    shape: Shape

    def memberships(self) -> np.ndarray:
        """1 where an item has a label, else 0, (N, labels) float64; numbers as they are."""
        if self.shape.kind != "classes":
            return self.targets.astype(np.float64)
        known = np.zeros((len(self.targets), self.shape.labels))
        known[np.arange(len(known)), self.targets] = 1.0
        return known

    def columns(self) -> Iterator[np.ndarray]:
        """The same by label, (N,) each, without holding all of them."""
        for label in range(self.shape.labels):
            if self.shape.kind == "classes":
                yield (self.targets == label).astype(np.float64)
            else:
                yield self.targets[:, label].astype(np.float64)


def label_shares(targets: np.ndarray) -> np.ndarray:
    """How much each item (N,) counts where its label counts as much as another; 1 on average."""
    _, own, counts = np.unique(targets, return_inverse=True, return_counts=True)
    return np.asarray(len(targets) / (len(counts) * counts[own]))


class HeadFitter(ABC):
    """A way to answer from frozen features, fitted at once. Constructors only store.

    What is fitted is a network from features (N, D) to outputs (N, labels): logits for classes, log
    odds for label sets, standardised numbers. It is `nn.Linear`, or `restored` makes it again from
    its `state_dict`; no code is kept beside those tensors.
    """

    margins: ClassVar[bool] = False  # outputs are distances from a border, not yet log odds

    def demand(self) -> None:
        """Raise HeadstartError where a package is missing that fitting needs."""
        return

    @abstractmethod
    def candidates(self, given: TrainingSet) -> Iterable[nn.Module]:
        """Fitted heads, one for each setting that is worth a try; validation picks one."""

    def restored(self, state: Mapping[str, Tensor], shape: Shape) -> nn.Module:
        """The head that was saved as these tensors. Raises WeightsError where they are none."""
        raise WeightsError(
            f"the head {type(self).__name__} is linear and kept with the backbone's weights. "
            "Copy the saved model again."
        )


@dataclass(frozen=True)
class Standardisation:
    """Mean and spread of each feature, (D,) float64.

    The spread is the root mean square of a feature's own standard deviation and a common one. So a
    feature that hardly ever changes counts for hardly anything, where its own deviation alone would
    blow its noise up to the size of all others. The common one is the mean of the deviations, each
    weighted by itself, which dead features leave as it is. Over 17 sets
    of real features (MobileNetV2, SqueezeNet, MiniLM) with 10 to 50 labels a class, logistic
    regression was right 1.5 points more often than on features of equal spread; half the common
    one brought .2 less, twice it no more. Tusher et al. 2001 add a common constant likewise.
    """

    mean: np.ndarray
    spread: np.ndarray

    @classmethod
    def of(cls, features: np.ndarray) -> Standardisation:
        """That of features (N, D). Raises DataError where some are not finite."""
        if not np.isfinite(features).all():
            raise DataError(
                "The features of some training items are not finite numbers. "
                "Name other weights, or --precision fp32."
            )
        own = features.std(axis=0, dtype=np.float64)
        total = own.sum()
        common = own @ own / total if total > 0 else 1.0
        return cls(features.mean(axis=0, dtype=np.float64), np.sqrt((own**2 + common**2) / 2))

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Features (N, D) with mean 0, divided by their spread, float64."""
        return np.asarray((features - self.mean) / self.spread)

    def folded(self, weight: np.ndarray, bias: np.ndarray) -> nn.Linear:
        """The layer for raw features, from weight (labels, D) and bias (labels,) for these."""
        weight = weight / self.spread
        layer = nn.Linear(weight.shape[1], len(weight))
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(weight))
            layer.bias.copy_(torch.from_numpy(bias - weight @ self.mean))
        return layer


def principal_axes(inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Squared lengths (R,) and directions (D, R) of the axes that inputs (N, D) span.

    Taken from the smaller of the two products of the inputs with themselves.
    """
    count, width = inputs.shape
    if width <= count:
        lengths, directions = np.linalg.eigh(inputs.T @ inputs)
    else:
        lengths, left = np.linalg.eigh(inputs @ inputs.T)
        scale = np.sqrt(np.maximum(lengths, np.finfo(inputs.dtype).tiny))
        directions = inputs.T @ (left / scale)
    sound = lengths > max(_SOUND, np.finfo(inputs.dtype).eps) * max(lengths[-1], 0.0)
    return lengths[sound], directions[:, sound]


def demand_tensors(
    state: Mapping[str, Tensor],
    wanted: Mapping[str, tuple[str, ...]],
    sizes: Mapping[str, int],
    integers: Collection[str],
) -> dict[str, int]:
    """The length of every dimension, where the tensors are those that are wanted.

    `wanted` names each tensor's dimensions, of which `sizes` knows some; a tensor is of float32, or
    of int64 where it is one of `integers`. Raises WeightsError for tensors that are missing, left
    over, empty or not finite, and for those that don't fit one another.
    """
    found = dict(sizes)
    differing = sorted(set(state) ^ set(wanted))
    if differing:
        raise damaged(f"{differing[0]} is missing or left over")
    for name, dimensions in wanted.items():
        own = tuple(state[name].shape)
        known = tuple(found.setdefault(d, size) for d, size in zip(dimensions, own, strict=False))
        if len(own) != len(dimensions) or known != own or 0 in own:
            raise damaged(f"{name} has the shape {list(own)}")
        if state[name].dtype != (torch.int64 if name in integers else torch.float32):
            raise damaged(f"{name} is of {state[name].dtype}")
        if not torch.isfinite(state[name]).all():
            raise damaged(f"{name} holds numbers that are not finite")
    return found


def damaged(why: str) -> WeightsError:
    """The error for a saved head that can't be used."""
    return WeightsError(
        f"the tensors are no head of this kind ({why}). Copy the saved model again."
    )
