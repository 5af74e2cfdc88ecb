"""A linear head fitted to frozen features, its regularisation picked on validation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import numpy as np
from torch import nn

from headstart.contracts import Examples
from headstart.head import SURE as SURE
from headstart.head import Standardisation

# Inverse regularisation strengths tried by the probe, on standardised features.
PROBE_STRENGTHS = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 1.0)
PROBE_PATIENCE = 2  # strengths in a row that brought nothing; the weakest are the dearest to fit
_WORTH_THREADS = 50_000_000  # numbers in the features; with fewer, threads wait more than work

# From inputs (N, D) and targets, weight (labels, D) and bias (labels,) for each strength in turn.
Solver = Callable[[np.ndarray, np.ndarray], Iterator[tuple[np.ndarray, np.ndarray]]]
Losses = Callable[[np.ndarray, np.ndarray], np.ndarray]


def zero_head(feature_dim: int, outputs: int) -> nn.Linear:
    """A linear layer that is zero at the start (Kolesnikov et al. 2020)."""
    layer = nn.Linear(feature_dim, outputs)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def fit_probe(
    train: Examples, validation: Examples, solutions: Solver, losses: Losses
) -> nn.Linear:
    """The solution on standardised features whose strength does best on validation.

    The strength is picked by the loss, which is steadier than the score on few items: from the
    strongest regularisation on, until it has got worse twice. The standardisation is folded into
    the returned layer. Raises DataError for features that are not finite.
    """
    standardised = Standardisation.of(train[0])
    # L-BFGS works in double precision; features in single would be converted at every step
    kind = np.float64 if train[0].size < _WORTH_THREADS else np.float32
    inputs, checked = (
        standardised(part[0]).astype(kind, copy=False) for part in (train, validation)
    )
    tried: list[tuple[float, np.ndarray, np.ndarray]] = []
    for weight, bias in solutions(inputs, train[1]):
        outputs = checked.astype(np.result_type(checked, weight), copy=False) @ weight.T + bias
        tried.append((float(losses(outputs, validation[1]).mean()), weight, bias))
        best = min(range(len(tried)), key=lambda place: tried[place][0])
        if len(tried) - 1 - best == PROBE_PATIENCE:
            break
    _, weight, bias = tried[best]
    return standardised.folded(weight, bias)


def threads(numbers: int) -> AbstractContextManager[object]:
    """One thread for small products: more of them wait for one another longer than they compute."""
    from threadpoolctl import threadpool_limits

    limit: AbstractContextManager[object] = threadpool_limits(
        1 if numbers < _WORTH_THREADS else None
    )
    return limit
