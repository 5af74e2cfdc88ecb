"""Ridge regression in closed form, its strength picked by every item left out in turn."""

from __future__ import annotations

from typing import Final

import numpy as np

from headstart.contracts.standardisation import principal_axes

# Strengths as shares of the number of items: features have variance 1.
STRENGTHS: Final = tuple(10.0**power for power in np.arange(-5, 4.5, 0.5))
_OWN: Final = 1e-9  # what is left of an item's answer where the rest of it is its own


def ridge(inputs: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights (D, outputs) from inputs (N, D) to targets (N, outputs), both of mean 0.

    Each output's strength is picked by the squared error of every item left out in turn, exactly
    (Hoerl and Kennard 1970; Allen 1974); the second answer are these errors, (outputs,).
    """
    lengths, axes = principal_axes(inputs)
    turned = inputs @ axes
    loads = turned.T @ targets
    strengths = len(inputs) * np.array(STRENGTHS)
    errors = np.array(
        [_left_out(turned, lengths + strength, loads, targets) for strength in strengths]
    )
    picked = strengths[np.argmin(errors, axis=0)]
    return axes @ (loads / (lengths[:, None] + picked)), errors.min(axis=0)


def _left_out(
    inputs: np.ndarray, lengths: np.ndarray, loads: np.ndarray, targets: np.ndarray
) -> np.ndarray:
    """Each output's mean squared error on items that ridge regression was fitted without.

    An item's own share in its answer says how far that would be off without it; a share of one
    leaves nothing to tell by.
    """
    own = (inputs**2) @ (1 / lengths) + 1 / len(inputs)
    errors = (targets - inputs @ (loads / lengths[:, None])) / np.maximum(1 - own, _OWN)[:, None]
    return np.asarray((errors**2).mean(axis=0))
