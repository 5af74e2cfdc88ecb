"""Gradient boosting on the rows of a target and of its sources together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import final

import numpy as np
from torch import Tensor, nn

from headstart.contracts.head import Shape, TrainingSet
from headstart.contracts.related import SourcedHead
from headstart.heads.boosting import GradientBoosting

_MOST = 5_000  # rows of each source


@final
class PooledBoosting(SourcedHead):
    """Boosted trees on all rows, in which all sources together count as much as the target.

    What a source does not know is the target's mean there.
    """

    def candidates(self, training: TrainingSet) -> Iterator[nn.Module]:
        """Ensembles as of `gradient-boosting`. Raises HeadstartError without sources."""
        self.demand_sources()
        middle = training.features.mean(axis=0)
        rows = [np.where(r.mask, r.features, middle)[:_MOST] for r in self.related]
        count = sum(map(len, rows))
        share = training.weights.sum() / count
        pooled = replace(
            training,
            features=np.concatenate([training.features, *rows]).astype(np.float32),
            targets=np.concatenate([training.targets, *(r.targets[:_MOST] for r in self.related)]),
            weights=np.concatenate([training.weights, np.full(count, share)]),
        )
        yield from GradientBoosting().candidates(pooled)

    def restored(self, state: Mapping[str, Tensor], shape: Shape) -> nn.Module:
        """The same trees. Raises WeightsError where the tensors are none."""
        return GradientBoosting().restored(state, shape)
