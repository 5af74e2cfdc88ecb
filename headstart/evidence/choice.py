"""Which arm to hand over, by what validation says of them, never by held-out items."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from headstart.evidence.record import Arm


def choose(arms: Mapping[str, Arm]) -> str:
    """The arm to hand over, by validation: the asked-for one unless a simpler one is as good.

    `arms` run from the simplest to the asked-for one, which comes last. Scratch is not simpler, and
    takes its place only where it is better by more than a standard error; nor is another head than
    that which was asked for, which gives way only to a better one.
    """
    *others, requested = arms
    asked_for = arms[requested].checked
    simpler = [n for n in others if n != "scratch" or clearly(arms[n].checked, asked_for)]
    best = max(simpler, key=lambda name: arms[name].selection_key, default=requested)
    ahead = arms[best].selection_key[0] - arms[requested].selection_key[0]
    return best if ahead > 0 or (ahead == 0 and arms[requested].steps) else requested


def simplest(arms: Mapping[str, Arm]) -> str:
    """The simplest arm within one standard error of the best, by validation alone.

    `arms` run from the simplest to the dearest. The error is that of the mean difference over the
    same validation items (the rule of Breiman et al. 1984, for arms that were judged in pairs).
    """
    best = max(arms.values(), key=lambda arm: arm.selection_key)
    for name, arm in arms.items():
        if _level(best.checked - arm.checked):
            return name
    raise ValueError("there is no arm")


def clearly(scores: np.ndarray, other: np.ndarray) -> bool:
    """Whether one arm's scores (N,) are above another's by more than the difference's error."""
    return len(scores) == 0 or not _level(scores - other)


def undecided(arm: Arm, other: Arm) -> bool:
    """Whether an arm is better than another on validation, but by no more than the error."""
    return arm.selection_key > other.selection_key and not clearly(arm.checked, other.checked)


def _level(behind: np.ndarray) -> bool:
    """Whether a mean over items is above 0 by no more than its standard error."""
    error = float(behind.std(ddof=1)) / len(behind) ** 0.5 if len(behind) > 1 else 0.0
    return len(behind) == 0 or float(behind.mean()) <= error
