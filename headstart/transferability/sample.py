"""What the scores look at: features of labelled items, and what several scores derive from them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np

from headstart.contracts import Array, Encoding
from headstart.data.targets import kind_named
from headstart.errors import DataError

_RANK = 1e-10  # of the largest singular value: what is below is rounding, single precision's too


@final
@dataclass(frozen=True, eq=False)
class Sample:
    """A pretrained network's features of labelled items, at least two of them.

    `targets` are as `Dataset.targets` gives them: (N,) int64 classes, (N, outputs) numbers, or
    (N, labels) of 0 and 1; `kind` names the kind of target, as `Task.kind` does. What several
    scores need is derived once, in double precision. Raises DataError for fewer than two items and
    features that are not finite, UnknownNameError for an unknown kind.
    """

    features: Array
    targets: Array
    kind: str
    groups: Array | None = None  # (N,) numbers: those of one are predicted from the other groups

    def __post_init__(self) -> None:
        kind_named(self.kind)
        if len(self.features) < 2:
            raise DataError(
                f"Features of {len(self.features)} labelled items can't be scored. "
                "Give at least two."
            )
        if not np.isfinite(self.features).all():
            raise DataError(
                "The features of some labelled items are not finite numbers. "
                "Name other weights, or --precision fp32."
            )

    def __len__(self) -> int:
        return len(self.features)

    @cached_property
    def encoding(self) -> Encoding:
        """What the targets are."""
        return kind_named(self.kind).encoding

    @cached_property
    def codes(self) -> Array:
        """The targets as columns to predict, (N, K) float64.

        0 and 1 for each class up to the last that occurs, numbers with mean 0 and variance 1 (all 0
        where a number never changes), -1 and 1 for each label.
        """
        if self.encoding is Encoding.INDEX:
            return np.asarray(np.eye(int(self.targets.max()) + 1)[self.targets])
        targets = self.targets.astype(np.float64)
        return targets * 2 - 1 if self.encoding is Encoding.MARKS else _standardised(targets)

    @cached_property
    def varying(self) -> Array:
        """Which columns of `codes` are not the same for all items: (K,) of bool."""
        return np.asarray((self.codes != self.codes[0]).any(axis=0))

    @cached_property
    def centred(self) -> Array:
        """The features less their mean, (N, D) float64, all divided by one number.

        The mean squared length of the rows is then 1, so that no score depends on the features'
        scale; it is 0 where all items have the same features.
        """
        features = self.features.astype(np.float64)
        features /= np.abs(features).max(initial=0.0) or 1.0  # squares must not overflow
        still = (features == features[0]).all(axis=0)
        features -= features.mean(axis=0)
        features[:, still] = 0  # a mean is rounded, and what is left of it is no feature
        features /= np.abs(features).max(initial=0.0) or 1.0
        length = np.sqrt((features**2).sum() / len(features))
        return np.asarray(features / (length or 1.0))

    @cached_property
    def axes(self) -> tuple[Array, Array]:
        """The thin singular value decomposition of `centred`, without the right singular vectors.

        Left singular vectors (N, R) and singular values (R,), the largest first; R is the rank, 0
        where all items have the same features. The squared values sum to N.
        """
        left, lengths, _ = np.linalg.svd(self.centred, full_matrices=False)
        significant = lengths > _RANK * lengths.max(initial=0.0)
        return left[:, significant], lengths[significant]


def _standardised(numbers: Array) -> Array:
    still = (numbers == numbers[0]).all(axis=0)
    numbers = numbers / np.maximum(np.abs(numbers).max(axis=0), np.finfo(np.float64).tiny)
    spread = numbers.std(axis=0)
    return np.where(still, 0.0, (numbers - numbers.mean(axis=0)) / np.where(still, 1.0, spread))
