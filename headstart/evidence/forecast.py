"""What more labels would bring: a power law through the learning curve, carried on."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log
from typing import Any

import numpy as np

from headstart.evidence.intervals import LEVEL, Interval
from headstart.evidence.labels import Curve

HORIZONS = (2, 4)  # times the labels
RESAMPLES = 300
_FEWEST = 3  # counts on a curve that the law's three numbers ask for
_JUDGED = 30  # held-out items; with 15 a curve rises clearly by luck, and 4 of 20 forecasts failed
_DECAYS = (0.05, 2.0)  # exponents of the law
_GRID = 24  # exponents tried before the best one is refined


@dataclass(frozen=True)
class Law:
    """error(n) = floor + scale * n ** -decay."""

    floor: float
    scale: float
    decay: float

    def score(self, items: int) -> float:
        """One minus the error with so many items."""
        return 1.0 - self.floor - self.scale * exp(-self.decay * log(items))


@dataclass(frozen=True)
class Forecast:
    """Scores to expect with more labels, or None, and a sentence that says which or why not."""

    points: list[dict[str, Any]] | None
    sentence: str
    law: Law | None = None


def forecast(curve: Curve) -> Forecast:
    """What the arm would reach with two and four times the labels, with a 95 % interval.

    A power law with a floor (Cortes et al. 1994; Hestness et al. 2017) is fitted to one minus the
    score, larger counts weighing more (Figueroa et al. 2012), once for the forecast and once for
    each resample of draws and held-out items, which gives the interval; the misfit of the law
    itself is not in it. Refused with fewer than three counts or 30 held-out items, and where the
    fitted error does not fall in at least 97.5 % of the resamples: a constant then does as well.
    `python -m benchmarks forecast` counts how often the interval holds what came true.
    """
    items = curve.scores.shape[2]
    refusal = _refusal(len(curve.counts), items)
    if refusal:
        return Forecast(None, f"No forecast: the curve {refusal}.")
    law = fit(curve.counts, 1.0 - curve.means())
    rng = np.random.default_rng(curve.seed % 2**32)
    laws = [
        fit(curve.counts, 1.0 - curve.resampled(rng.integers(0, items, size=(items,)), rng))
        for _ in range(RESAMPLES)
    ]
    falling = np.mean([each.scale > 0 for each in laws])
    if law.scale == 0 or falling < (1 + LEVEL) / 2:
        return Forecast(
            None,
            "No forecast: over the counts tried the score does not rise clearly with the labels, "
            "so a power law is no better than a constant.",
        )
    counts = [factor * curve.counts[-1] for factor in HORIZONS]
    intervals = [_interval(law, laws, count).times(curve.sign) for count in counts]
    sentence = "; ".join(
        f"{count} labels {each.value:.3f} ({each.low:.3f} to {each.high:.3f})"
        for count, each in zip(counts, intervals, strict=True)
    )
    points = [{"items": n} | each.to_json() for n, each in zip(counts, intervals, strict=True)]
    return Forecast(points, f"Forecast by a power law: {sentence}.", law)


def _refusal(counts: int, items: int) -> str:
    """Why a curve of so many counts, judged on so many items, is too little; empty if it is not."""
    if counts < _FEWEST:
        return f"has {counts} counts of labels, and the power law needs {_FEWEST}"
    if items < _JUDGED:
        return (
            f"was judged on {items} items, and where these are fewer than {_JUDGED} chance alone "
            "makes it rise"
        )
    return ""


def fit(counts: tuple[int, ...], errors: np.ndarray) -> Law:
    """The law that comes nearest to the errors (counts,), by least squares with weights.

    For a given decay the floor and the scale, neither below 0, have a closed form; the decay is
    searched on a grid and refined between its neighbours (Brent 1973).
    """
    from scipy.optimize import minimize_scalar

    spots = np.asarray(counts, dtype=np.float64)
    weights = np.arange(1, len(spots) + 1) / len(spots)

    def loss(decay: float) -> float:
        return _line(spots**-decay, errors, weights)[2]

    decays = np.geomspace(*_DECAYS, _GRID)
    best = int(np.argmin([loss(decay) for decay in decays]))
    near = decays[max(0, best - 1)], decays[min(_GRID - 1, best + 1)]
    refined = minimize_scalar(loss, bounds=near, method="bounded", options={"xatol": 1e-7})
    decay = float(refined.x) if refined.fun < loss(decays[best]) else float(decays[best])
    floor, scale, _ = _line(spots**-decay, errors, weights)
    return Law(floor, scale, decay)


def _line(
    powers: np.ndarray, errors: np.ndarray, weights: np.ndarray
) -> tuple[float, float, float]:
    """Floor and scale, neither below 0, with the least weighted squared error, and that error."""
    weights = weights / weights.sum()
    centre, middle = float(weights @ powers), float(weights @ errors)
    spread = powers - centre
    scale = float(weights @ (spread * (errors - middle))) / float(weights @ spread**2)
    scale = max(scale, 0.0)
    floor = middle - scale * centre
    if floor < 0:
        floor, scale = 0.0, max(0.0, float(weights @ (powers * errors) / (weights @ powers**2)))
    return floor, scale, float(weights @ (errors - floor - scale * powers) ** 2)


def _interval(law: Law, laws: list[Law], items: int) -> Interval:
    value = law.score(items)
    edges = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    low, high = np.quantile([each.score(items) for each in laws], edges)
    return Interval(value, min(value, float(low)), max(value, float(high)))
