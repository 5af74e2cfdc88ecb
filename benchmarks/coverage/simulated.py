"""How often the intervals hold the truth: simulated comparisons of arms whose gain is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import sqrt
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri

from headstart.evidence.intervals import Interval, bootstrap, paired, verdict
from headstart.evidence.seeds import seeds

ITEMS = (50, 150, 1000)
GAINS = (-0.1, 0.0, 0.05, 0.3)
BEST = (0.75, 0.95)  # accuracy of the better arm
SEEDS = (3, 5)
SPREADS = (0.0, 0.2)  # of a training's skill over seeds, in standard deviations of an item's luck
ALIKE = 0.5  # correlation of two arms on one item
WANTED = (0.92, 0.98)
MISTAKEN = 0.05  # of the verdicts where there is no difference
LEAST = 10  # items that the arms judge differently; with fewer, whole items make intervals wide
CHANCE = 2.5  # standard errors that a share counted in few repeats may be off

Method = Callable[[np.ndarray, np.ndarray, int], Interval]


@dataclass(frozen=True)
class World:
    """Two arms whose expected accuracies are known; a latent score above 0 is a right answer.

    An item's difficulty is shared by the arms and by all trainings; a training's skill is its own,
    as is its luck with an item. `conditional` asks for the gain of the trainings at hand, not of
    trainings in general.
    """

    items: int
    gain: float
    best: float
    seeds: int = 1
    spread: float = 0.0
    conditional: bool = False

    @property
    def accuracies(self) -> tuple[float, float]:
        """What transfer and scratch are right on in expectation."""
        transfer = self.best if self.gain >= 0 else self.best + self.gain
        return transfer, transfer - self.gain

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, float]:
        """Scores of the arms, (seeds, items) each, 0 or 1, and the gain that is the truth."""
        ease = rng.normal(size=self.items) * sqrt(ALIKE)
        scores, expected = [], []
        for accuracy in self.accuracies:
            skill = ndtri(accuracy) * sqrt(1 + self.spread**2)
            skills = skill + self.spread * rng.normal(size=(self.seeds, 1))
            luck = rng.normal(size=(self.seeds, self.items)) * sqrt(1 - ALIKE)
            scores.append((skills + ease + luck > 0).astype(np.float64))
            expected.append(float(ndtr(skills).mean()))
        truth = expected[0] - expected[1] if self.conditional else self.gain
        return scores[0], scores[1], truth


@dataclass(frozen=True)
class Count:
    """What was counted in one world with one method, as shares of the repeats."""

    method: str
    world: World
    repeats: int
    covered: float
    claimed: float  # verdicts helps or hurts
    width: float
    differing: float  # items that the arms judge differently, in the mean

    @property
    def holds(self) -> bool:
        """Whether coverage and false verdicts are what they must be, up to chance.

        Where few items tell the arms apart an interval may cover more, as no interval over whole
        items can do otherwise.
        """
        low, high = WANTED[0] - self._chance(WANTED[0]), WANTED[1] + self._chance(WANTED[1])
        fits = self.covered >= low and (self.covered <= high or self.differing < LEAST)
        allowed = MISTAKEN + self._chance(MISTAKEN)
        return fits and (self.world.gain != 0 or self.world.conditional or self.claimed <= allowed)

    def to_json(self) -> dict[str, Any]:
        """The record, the world's numbers beside the shares."""
        fields = {name: value for name, value in asdict(self).items() if name != "world"}
        return asdict(self.world) | fields | {"holds": self.holds}

    def _chance(self, share: float) -> float:
        return CHANCE * sqrt(share * (1 - share) / self.repeats)


def percentile(better: np.ndarray, other: np.ndarray, seed: int) -> Interval:
    """The percentile bootstrap of one pair of trainings, for comparison."""
    return bootstrap(better[0] - other[0], seed, lowest=-1.0)


def one_pair(better: np.ndarray, other: np.ndarray, seed: int) -> Interval:
    """`paired` on the first training of each arm."""
    return paired(better[0], other[0], seed)


def pigeonhole(better: np.ndarray, other: np.ndarray, seed: int, resamples: int = 1000) -> Interval:
    """Seeds and items resampled independently (Owen 2007), for comparison."""
    rng = np.random.default_rng(seed)
    differences = better - other
    rows, count = differences.shape
    row_weights = rng.multinomial(rows, np.full(rows, 1 / rows), resamples) / rows
    items = rng.multinomial(count, np.full(count, 1 / count), resamples) / count
    means = ((row_weights @ differences) * items).sum(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return Interval(float(differences.mean()), float(low), float(high))


def worlds(items: tuple[int, ...] = ITEMS) -> list[tuple[World, dict[str, Method]]]:
    """Every simulated world with the methods that are counted in it."""
    alone: dict[str, Method] = {"paired": one_pair, "percentile": percentile}
    several: dict[str, Method] = {"seeds": seeds, "pigeonhole": pigeonhole}
    grid = [(count, gain, best) for count in items for gain in GAINS for best in BEST]
    cells = [(World(*cell), alone) for cell in grid]
    cells += [(World(*cell, 1, SPREADS[-1], True), {"paired": one_pair}) for cell in grid]
    for number in SEEDS:
        cells += [(World(*cell, number, spread), several) for cell in grid for spread in SPREADS]
    return cells


def count(world: World, methods: Mapping[str, Method], repeats: int, seed: int = 0) -> list[Count]:
    """Simulate a world so many times and count, for each method, what its intervals hold."""
    cell = (world.gain + 1, world.best, world.spread)
    rng = np.random.default_rng([seed, world.items, world.seeds, *(round(100 * x) for x in cell)])
    rows: dict[str, list[tuple[bool, bool, float]]] = {name: [] for name in methods}
    differing = 0.0
    for repeat in range(repeats):
        better, other, truth = world.draw(rng)
        differing += float((better != other).sum(axis=1).mean()) / repeats
        for name, method in methods.items():
            interval = method(better, other, seed + repeat)
            covered = interval.low - 1e-9 <= truth <= interval.high + 1e-9
            rows[name].append(
                (covered, verdict(interval) != "no evidence", interval.high - interval.low)
            )
    shares = {name: np.mean(each, axis=0).tolist() for name, each in rows.items()}
    return [
        Count(name, world, repeats, covered, claimed, width, differing)
        for name, (covered, claimed, width) in shares.items()
    ]


def run(repeats: int = 200) -> dict[str, Any]:
    """Simulate every world, print a line for each, and answer with all counts.

    `broken` names the worlds in which `paired` or `seeds` do not hold what they promise; the other
    methods stand beside them for comparison.
    """
    counts: list[Count] = []
    for world, methods in worlds():
        for outcome in count(world, methods, repeats):
            counts.append(outcome)
            print(line(outcome), flush=True)
    broken = [each for each in counts if each.method in ("paired", "seeds") and not each.holds]
    print(*summary(counts), sep="\n")
    print(f"{len(broken)} of {len(counts)} counts break what `paired` and `seeds` promise.")
    return {
        "repeats": repeats,
        "counts": [each.to_json() for each in counts],
        "broken": [each.to_json() for each in broken],
    }


def summary(counts: Sequence[Count]) -> list[str]:
    """For each method a line: coverage where enough items differ, and false verdicts."""
    lines = []
    for method in dict.fromkeys(each.method for each in counts):
        own = [each for each in counts if each.method == method]
        covered = [each.covered for each in own if each.differing >= LEAST] or [float("nan")]
        none = [each.claimed for each in own if each.world.gain == 0 and not each.world.conditional]
        lines.append(
            f"{method:<11} covers {min(covered):.1%} to {max(covered):.1%}, "
            f"{np.mean(covered):.1%} in the mean; without a difference claims one in "
            f"{np.mean(none or [np.nan]):.1%} of the repeats, {max(none or [np.nan]):.1%} at worst"
        )
    return lines


def line(outcome: Count) -> str:
    """One count as a line of the printed table."""
    world = outcome.world
    which = "of these trainings" if world.conditional else "in expectation"
    return (
        f"{outcome.method:<11} N {world.items:>4}  seeds {world.seeds}  spread {world.spread:.1f}  "
        f"gain {world.gain:+.2f} below {world.best:.2f} {which}: "
        f"covers {outcome.covered:6.1%}, verdicts {outcome.claimed:6.1%}, "
        f"width {outcome.width:.3f}, "
        f"{outcome.differing:.0f} items differ{'' if outcome.holds else '  (!)'}"
    )
