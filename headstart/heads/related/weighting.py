"""Rows of sources beside the target's, each counting by how well it fits among them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final, final

import numpy as np
from torch import nn

from headstart.contracts.head import TrainingSet
from headstart.contracts.related import Related, SourcedHead
from headstart.heads.related import demand_numbers, layer

_STEPS: Final = 10  # from all sources' rows counting in full to none
_STRENGTHS: Final = (0.003, 0.03, 0.3)  # of the ridge, as shares of the rows' weight
_MOST: Final = 5_000  # rows of each source


@final
class SourceWeighting(SourcedHead):
    """Ridge regression on the target's rows and the sources', of which those that fit badly fade.

    Reference: Dai et al. 2007 (TrAdaBoost), for numbers in two stages as Pardoe and Stone 2010. How
    far they fade is told by the target's rows, each left out in turn.
    """

    cross_validates: ClassVar[bool] = True

    def candidates(self, training: TrainingSet) -> Iterator[nn.Module]:
        """The one layer. Raises HeadstartError without sources, and for targets but numbers."""
        demand_numbers(self, training)
        count = len(training.features)
        features = [training.features, *(_filled(each, training.features) for each in self.related)]
        inputs = np.concatenate(features).astype(np.float64)
        goals = np.concatenate([training.targets, *(e.targets[:_MOST] for e in self.related)])
        centre, spread = inputs[:count].mean(axis=0), inputs.std(axis=0)
        inputs = (inputs - centre) / np.where(spread > 0, spread, 1.0)
        best: tuple[float, np.ndarray] | None = None
        shares = np.ones(len(inputs))
        for step in range(_STEPS):
            for strength in _STRENGTHS:
                error, weights = _fitted(inputs, goals, shares, strength, count)
                best = min((o for o in (best, (error, weights)) if o), key=lambda each: each[0])
                if strength == _STRENGTHS[1]:
                    middle = weights
            share = 1 - (step + 1) / _STEPS
            shares = _faded(shares, inputs, goals, middle, (count, share))
        weights = best[1] if best else middle
        rows = (weights[1:] / np.where(spread > 0, spread, 1.0)[:, None]).T
        yield layer(rows, weights[0] - rows @ centre)


def _filled(source: Related, target: np.ndarray) -> np.ndarray:
    """A source's rows, what it doesn't know as the target has it on average."""
    return np.where(source.mask, source.features[:_MOST], target.mean(axis=0))


def _fitted(
    inputs: np.ndarray, goals: np.ndarray, shares: np.ndarray, strength: float, count: int
) -> tuple[float, np.ndarray]:
    """The error on the first `count` rows, each left out in turn, and weights (1 + D, outputs)."""
    design = np.column_stack([np.ones(len(inputs)), inputs])
    penalty = strength * shares.sum() * np.eye(design.shape[1])
    penalty[0, 0] = 1e-9
    inverse = np.linalg.inv((design * shares[:, None]).T @ design + penalty)
    weights = inverse @ (design * shares[:, None]).T @ goals
    own = design[:count]
    leverage = np.einsum("nd,de,ne->n", own, inverse, own) * shares[:count]
    errors = (goals[:count] - own @ weights) / np.maximum(1 - leverage, 1e-6)[:, None]
    return float((errors**2).mean()), weights


def _faded(
    shares: np.ndarray,
    inputs: np.ndarray,
    goals: np.ndarray,
    weights: np.ndarray,
    target: tuple[int, float],
) -> np.ndarray:
    """Shares of the sources' rows that are less the worse they fit, by which they sum to less."""
    count, share = target
    design = np.column_stack([np.ones(len(inputs)), inputs])
    errors = np.abs(goals - design @ weights).mean(axis=1)
    errors = errors / max(float(errors.max()), 1e-12)
    low, high = 0.0, 50.0
    others = shares[count:]
    goal = share * len(others)
    for _ in range(40):  # as sums fall with the power
        power = (low + high) / 2
        total = float((others * np.exp(-power * errors[count:])).sum())
        low, high = (power, high) if total > goal else (low, power)
    return np.concatenate([shares[:count], others * np.exp(-high * errors[count:])])
