"""Why a gain over scratch can't be judged: there is no such network, or it learned nothing."""

from __future__ import annotations

import numpy as np

from headstart.evidence.intervals import Interval, paired
from headstart.evidence.seeds import seeds

UNENDED = "the proof has not come to its end, and `headstart prove` goes on with it"
NO_SCRATCH = "no network was trained from scratch for comparison"


def doubt(steps: int, due: int, over_naive: Interval, metric: str) -> str:
    """Why the network from scratch is no yardstick, empty where it is one.

    It must have taken as many steps as are `due`, and beaten the naive model by its interval: a
    network that never learned is beaten by anything, whatever the pretrained weights are worth.
    """
    if steps < due:
        return (
            f"the network from scratch took {steps} steps, and {due} are the least to compare with"
        )
    if over_naive.low <= 0:
        low, value, high = (
            100 * each for each in (over_naive.low, over_naive.value, over_naive.high)
        )
        return (
            f"the network from scratch does not clearly beat the naive model ({value:+.1f} points "
            f"of {metric}, 95 % interval {low:+.1f} to {high:+.1f})"
        )
    return ""


def lead(scores: np.ndarray, naive: np.ndarray, seed: int) -> Interval:
    """Scores (N,), or (seeds, N), over the naive model's (N,)."""
    if scores.ndim == 1:
        return paired(scores, naive, seed)
    return seeds(scores, np.broadcast_to(naive, scores.shape), seed)
