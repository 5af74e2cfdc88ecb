"""Labelled rows of other tables, in the target's own features, and heads that learn from them."""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

import numpy as np

from headstart.contracts.head import HeadFitter
from headstart.contracts.ridge import ridge
from headstart.contracts.standardisation import Standardisation
from headstart.contracts.targets import Encoding
from headstart.errors import HeadstartError


@dataclass(frozen=True, eq=False)
class Related:
    """One source: features (S, D) float32, and targets as a `TrainingSet` has them.

    Numbers are standardised by the source's own mean and `scale`, (outputs,) in the target's units;
    empty where units can't be compared. `mask` (D,) says which features the source speaks of.
    """

    name: str
    features: np.ndarray
    targets: np.ndarray
    mask: np.ndarray
    scale: tuple[float, ...] = field(default=())

    def in_units(self, scale: Sequence[float]) -> Related:
        """The same with its scale in units of the target's own, (outputs,)."""
        shares = [own / (unit or 1.0) for own, unit in zip(self.scale, scale, strict=False)]
        return replace(self, scale=tuple(shares))

    def marks(self, labels: int, encoding: Encoding) -> np.ndarray:
        """The targets as (S, labels) float64: 1 where a row has a class, else 0."""
        if encoding is not Encoding.INDEX:
            return self.targets.reshape(len(self.features), -1).astype(np.float64)
        return np.asarray(np.eye(labels)[self.targets])


@dataclass(frozen=True, eq=False)
class Direction:
    """What sources say of the target's features: weights (D, labels), and each feature's spread.

    `spread` (D,) is 0 for features that no source speaks of.
    """

    weights: np.ndarray
    spread: np.ndarray
    scale: np.ndarray  # (labels,): what a standard deviation of a source's targets is worth

    @classmethod
    def of(cls, related: Sequence[Related], labels: int, encoding: Encoding) -> Direction:
        """The sources' ridge regressions, averaged by how much of their own rows each explains."""
        width = related[0].features.shape[1]
        weights, total = np.zeros((width, labels)), np.zeros(labels)
        spreads, sources = np.zeros(width), np.zeros(width)
        for each in related:
            own, explained = _ridge(each, each.marks(labels, encoding))
            weights += own * explained
            total += explained
            spreads += np.where(each.mask, each.features.std(axis=0, dtype=np.float64), 0.0)
            sources += each.mask
        scales = [each.scale for each in related if each.scale]
        scale = np.mean(scales, axis=0) if scales else np.full(labels, np.nan)
        return cls(weights / total, spreads / np.maximum(sources, 1), scale)


def _ridge(source: Related, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A source's weights (D, labels) for its features as they are, and the share explained."""
    features = source.features[:, source.mask]
    scale, centred = Standardisation.of(features), targets - targets.mean(axis=0)
    weights, errors = ridge(scale(features), centred)
    whole = np.zeros((len(source.mask), targets.shape[1]))
    whole[source.mask] = weights / scale.spread[:, None]
    variance = np.maximum(centred.var(axis=0), 1e-12)
    return whole, np.clip(1 - errors / variance, 0.02, 1.0)


class SourcedHead(HeadFitter, ABC):
    """A head that learns from rows of other tables, too."""

    sourced: ClassVar[bool] = True

    def __init__(self, related: Sequence[Related] = ()) -> None:
        self.related = related

    def related_to(self, related: Sequence[Related]) -> Self:
        """The same beside these sources."""
        return type(self)(related)

    def demand_sources(self) -> None:
        """Raise HeadstartError without sources."""
        if not self.related:
            raise HeadstartError(
                "A head that learns from other tables was named, and there is none. "
                "Name one with --from."
            )
