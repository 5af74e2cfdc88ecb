"""A few labels of the target: which to ask for, and what they say of each method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headstart.adaptation.candidates import Candidate
from headstart.evidence import Interval, paired

ASKED = 20


@dataclass(frozen=True)
class Labelled:
    """Target items with labels: their positions (L,), and the numbers of their classes (L,)."""

    positions: np.ndarray
    targets: np.ndarray


@dataclass(frozen=True)
class Gain:
    """What a method is worth over source only on the target, from so many labels."""

    interval: Interval
    labels: int

    @property
    def value(self) -> float:
        """The estimate."""
        return self.interval.value


def contested(candidates: Sequence[Candidate]) -> np.ndarray:
    """Positions of target items that not all candidates answer alike."""
    answers = np.stack([each.answered for each in candidates])
    return np.flatnonzero((answers != answers[0]).any(axis=0))


def disputed(candidates: Sequence[Candidate], count: int = ASKED, seed: int = 0) -> np.ndarray:
    """Positions of up to `count` target items whose labels tell the candidates apart.

    Drawn evenly from those that are not answered alike: the others can't say which is better, and
    what these say of a difference holds for the whole target (stratified sampling; after Kossen et
    al. 2021, active testing).
    """
    dispute = contested(candidates)
    return np.random.default_rng(seed).permutation(dispute)[:count]


def gains(
    candidates: Sequence[Candidate], labelled: Labelled, seed: int = 0, several: bool = True
) -> dict[str, Gain]:
    """Each candidate's gain in accuracy over the first one, which is source only.

    Items that all answer alike add nothing to a gain, so that only the labels of others are looked
    at, and count for their share of the target: whether labels were drawn from all items or from
    those in dispute. With `several` the intervals hold for all candidates at once (Bonferroni).
    """
    dispute = contested(candidates)
    own = np.isin(labelled.positions, dispute)
    positions, targets = labelled.positions[own], labelled.targets[own]
    share = len(dispute) / len(candidates[0].outputs)
    nothing = Interval(0.0, -share, share) if share else Interval(0.0, 0.0, 0.0)
    source, total = candidates[0].answered, len(labelled.positions)
    by_name = {candidates[0].name: Gain(Interval(0.0, 0.0, 0.0), total)}
    for each in candidates[1:]:
        right, before = (a[positions] == targets for a in (each.answered, source))
        gain = paired(right.astype(float), before.astype(float), seed) if len(positions) else None
        scaled = (
            nothing
            if gain is None
            else Interval(gain.value * share, gain.low * share, gain.high * share)
        )
        tests = len(candidates) - 1 if several else 1
        by_name[each.name] = Gain(_widened(scaled, tests, share), total)
    return by_name


def _widened(gain: Interval, tests: int, most: float) -> Interval:
    """The interval that holds with the same certainty for so many at once, within the possible."""
    from scipy.stats import norm

    wider = float(norm.ppf(1 - 0.025 / tests) / norm.ppf(0.975))
    low = gain.value - wider * (gain.value - gain.low)
    high = gain.value + wider * (gain.high - gain.value)
    return Interval(gain.value, max(low, -most), min(high, most))
