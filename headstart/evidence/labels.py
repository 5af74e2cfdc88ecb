"""Learning curves: what each arm reaches with fewer labels, and how many labels transfer saves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, inf, isfinite, log
from typing import Any

import numpy as np

from headstart.contracts import Examples, Labels, Task
from headstart.contracts.targets import Encoding
from headstart.data import nested
from headstart.data.targets import kind_named
from headstart.evidence.fitting import answers, full_probe
from headstart.evidence.intervals import LEVEL
from headstart.evidence.seeds import draws as over_draws
from headstart.runtime.budget import Budget

DRAWS, RESAMPLES = 5, 500  # subsets of each size: fewer leave chance in charge of few labels
SCRATCH_PARTS = (4, 2)  # of all labels, what scratch is trained on: a quarter, then a half
_MOST, _LEAST = 7, 8  # counts on a curve; items at the smallest one
_SLACK = 1.5  # how much longer than expected a training may take
_SAME = 1e-9  # scores that differ by less are equal

# From positions of training items to the scores (N,) of the test items; None where it was cut off.
TrainAt = Callable[[np.ndarray], np.ndarray | None]


@dataclass(frozen=True, eq=False)
class Curve:
    """Scores of the same held-out items at several counts of training items.

    `scores` are (draws, counts, N); `counts` ascend. Smaller subsets lie in larger ones.
    """

    counts: tuple[int, ...]
    scores: np.ndarray
    seed: int = 0
    sign: int = 1  # -1 where less is better
    clusters: np.ndarray | None = None  # (N,): which held-out items belong together

    def means(self) -> np.ndarray:
        """The mean score at each count, (counts,)."""
        return np.asarray(self.scores.mean(axis=(0, 2)))

    def points(self) -> list[dict[str, Any]]:
        """Items, value and 95 % interval at each count, over draws and held-out items."""
        each = [
            over_draws(self.scores[:, place], self.seed, self.clusters)
            for place in range(len(self.counts))
        ]
        pairs = zip(self.counts, each, strict=True)
        return [{"items": n} | interval.times(self.sign).to_json() for n, interval in pairs]

    def resampled(self, items: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The mean at each count, (counts,), over the items given and over resampled draws.

        One draw fewer than there are is taken, which makes the variance over few draws right (Rao
        and Wu 1988).
        """
        count, places, _ = self.scores.shape
        by_draw = self.scores[:, :, items].mean(axis=2)
        indices = rng.integers(0, count, (max(1, count - 1), places))
        return np.asarray(by_draw[indices, np.arange(places)].mean(axis=0))


@dataclass(frozen=True)
class Saved:
    """How many times the labels of the transfer scratch needs, as far as the data can tell.

    `value` is None where only a bound is known, `low` or `high` where the data hold no bound.
    """

    value: float | None
    low: float | None
    high: float | None
    sentence: str

    def to_json(self) -> dict[str, float | None]:
        """The three numbers, rounded to five places."""
        numbers = {"value": self.value, "low": self.low, "high": self.high}
        return {name: None if x is None else round(x, 5) for name, x in numbers.items()}


def label_counts(total: int, labels: int) -> tuple[int, ...]:
    """All training items, half of them, and so on while there are two items a label."""
    counts = [total]
    while len(counts) < _MOST and counts[-1] // 2 >= max(_LEAST, 2 * labels):
        counts.append(counts[-1] // 2)
    return tuple(reversed(counts))


def transfer_curve(
    task: Task,
    labels: Labels,
    examples: Mapping[str, Examples],
    full: np.ndarray,
    draws: int = DRAWS,
    seed: int = 0,
    until: Budget | None = None,
) -> Curve:
    """The task's probe on stored features of fewer and fewer training items.

    `examples` holds features and targets of train, validation and test; `full` (N,) is what the
    probe on all of them scored on test, and is not fitted again. Subsets are nested and keep each
    label's share; validation shrinks with them, since its labels are labels too. After the first
    draw the rest are left out where the budget `until` is over.
    """
    targets = examples["train"][1]
    counts = label_counts(len(targets), len(labels))[:-1]
    orders = [(nested(targets, seed + n), seed + n) for n in range(draws)]
    fit = [n for n in counts if all(_learnable(task, targets[order[:n]]) for order, _ in orders)]
    rows: list[list[np.ndarray]] = []
    for order, subset_seed in orders:
        if rows and until is not None and until.over():
            break
        checked = nested(examples["validation"][1], subset_seed)
        row = []
        for count in fit:
            share = max(len(labels), round(len(checked) * count / len(targets)))
            parts = {"train": order[:count], "validation": checked[:share]}
            row.append(_probed(task, labels, examples, parts))
        rows.append([*row, full])
    return Curve((*fit, len(targets)), np.array(rows), seed, task.sign)


def scratch_curve(
    targets: np.ndarray,
    full: np.ndarray,
    train_at: TrainAt,
    seconds: float,
    until: Budget,
    seed: int = 0,
) -> tuple[Curve, str]:
    """The network from random weights on a quarter and a half of the training items, and on all.

    `full` (N,) are the test scores of scratch with all labels, which took `seconds`; `train_at`
    trains on the given positions of the subsets that the transfer curve's first draw has. A count
    for which too little of `until` is left is skipped: a network that was cut off would flatter
    the transfer. Answers with a sentence on what was skipped, empty where nothing was.
    """
    total = len(targets)
    order = nested(targets, seed)
    scores_at: dict[int, np.ndarray] = {}
    skipped = []
    for part in SCRATCH_PARTS:
        count = total // part
        scores = None
        if count >= 1 and until.left() >= _SLACK * seconds / part:
            scores = train_at(order[:count])
        if scores is None:
            skipped.append(count)
        else:
            scores_at[count] = scores
    scores_at[total] = full
    curve = Curve(tuple(scores_at), np.array([list(scores_at.values())]), seed)
    if not skipped:
        return curve, ""
    which = " and ".join(str(count) for count in skipped)
    return curve, f"Scratch was not trained on {which} of {total} labels: no time was left."


def saved(transfer: Curve, scratch: Curve) -> Saved:
    """How many times the labels scratch needs to do as well as the transfer does.

    The labels are compared at the best score that both curves reach within the data: at scratch's
    best where the transfer is above it in the end, at the transfer's best where it is not. Where
    one curve begins above all of the other there is only a bound. Both curves are made monotone
    (Ayer et al. 1955) and interpolated in the logarithm of the items. The interval resamples draws,
    and the test items of both curves together, families whole.
    """
    rng = np.random.default_rng(transfer.seed % 2**32)
    own, count = transfer.clusters, transfer.scores.shape[2]
    families = [] if own is None else [np.flatnonzero(own == each) for each in np.unique(own)]
    point = _needs(transfer, scratch, transfer.means(), scratch.means())
    bounds = []
    for _ in range(RESAMPLES):
        indices = rng.integers(0, len(families) or count, size=(len(families) or count,))
        indices = np.concatenate([families[n] for n in indices]) if families else indices
        means = (curve.resampled(indices, rng) for curve in (transfer, scratch))
        bounds.append(_needs(transfer, scratch, *means).bounds())
    lows, highs = np.sort(np.array(bounds), axis=0).T
    edge = int(len(lows) * (1 - LEVEL) / 2)
    low, high = min(lows[edge], point.bounds()[0]), max(highs[-1 - edge], point.bounds()[1])
    least, most = (exp(bound) if isfinite(bound) else None for bound in (low, high))
    sentence = " ".join([_sentence(point, least, most), *_crossing(transfer, scratch)])
    only = point.ratio if point.bounds()[0] == point.bounds()[1] else None
    return Saved(only, least, most, sentence)


@dataclass(frozen=True)
class _Need:
    """The labels with which each arm reaches one score; less may do where a curve starts above."""

    transfer: float
    scratch: float
    transfer_or_less: bool
    scratch_or_less: bool

    @property
    def ratio(self) -> float:
        return self.scratch / self.transfer

    def bounds(self) -> tuple[float, float]:
        """The least and the most that the logarithm of the ratio can be."""
        ratio = log(self.ratio)
        return -inf if self.scratch_or_less else ratio, inf if self.transfer_or_less else ratio


def _needs(transfer: Curve, scratch: Curve, ours: np.ndarray, theirs: np.ndarray) -> _Need:
    from scipy.optimize import isotonic_regression

    ours, theirs = (np.asarray(isotonic_regression(means).x) for means in (ours, theirs))
    if ours[0] > theirs[-1] + _SAME:
        return _Need(transfer.counts[0], scratch.counts[-1], True, False)
    if theirs[0] > ours[-1] + _SAME:
        return _Need(transfer.counts[-1], scratch.counts[0], False, True)
    level = float(min(ours[-1], theirs[-1]))
    count, less = _reach(transfer.counts, ours, level)
    other, other_less = _reach(scratch.counts, theirs, level)
    return _Need(count, other, less, other_less)


def _reach(counts: Sequence[int], means: np.ndarray, level: float) -> tuple[float, bool]:
    """The items at which a rising curve reaches a level, and whether fewer than its first may do.

    A curve of one count is taken to need all of it.
    """
    place = int(np.argmax(means >= level - _SAME))
    if place == 0:
        return float(counts[0]), len(counts) > 1
    step = (level - means[place - 1]) / max(means[place] - means[place - 1], _SAME)
    below, above = log(counts[place - 1]), log(counts[place])
    return exp(below + min(1.0, float(step)) * (above - below)), False


def _sentence(need: _Need, low: float | None, high: float | None) -> str:
    ours, theirs = f"{need.transfer:.0f}", f"{need.scratch:.0f}"
    if need.transfer_or_less and need.scratch_or_less:
        return "Both arms are level from the fewest labels on: the data can't tell what is saved."
    if need.transfer_or_less:
        return (
            f"Scratch with {theirs} labels is no better than the transfer with {ours}, the fewest "
            f"tried. What the transfer reaches with more is not reached within your data: scratch "
            f"needs more than {need.ratio:.1f} x the labels{_spread(low, high)}."
        )
    if need.scratch_or_less:
        return (
            f"The transfer with {ours} labels is no better than scratch with {theirs}, the fewest "
            f"tried: scratch needs less than {need.ratio:.2f} x the labels{_spread(low, high)}."
        )
    sentence = (
        f"Scratch with {theirs} labels does as well as the transfer with {ours}: it needs "
        f"{need.ratio:.2g} x the labels{_spread(low, high)}."
    )
    if (low or 0.0) <= 1.0 <= (high or inf):
        sentence += " That is no evidence that the transfer saves labels."
    return sentence


def _spread(low: float | None, high: float | None) -> str:
    if low is None and high is None:
        return " (95 % interval without bounds)"
    if high is None:
        return f" (95 % interval from {low:.2g} up)"
    if low is None:
        return f" (95 % interval up to {high:.2g})"
    return f" (95 % interval {low:.2g} to {high:.2g})"


def _crossing(transfer: Curve, scratch: Curve) -> list[str]:
    """A sentence where the one arm leads with few labels and the other with many."""
    spots = np.log(scratch.counts)
    lead = np.interp(spots, np.log(transfer.counts), transfer.means()) - scratch.means()
    if np.sign(lead[0]) * np.sign(lead[-1]) >= 0:
        return []
    after = int(np.argmax(np.sign(lead) == np.sign(lead[-1])))
    step = lead[after - 1] / (lead[after - 1] - lead[after])
    count = exp(spots[after - 1] + step * (spots[after] - spots[after - 1]))
    first, then = ("the transfer", "scratch") if lead[0] > 0 else ("scratch", "the transfer")
    return [f"The curves cross near {count:.0f} labels: below {first} leads, above {then} does."]


def _learnable(task: Task, targets: np.ndarray) -> bool:
    classes = kind_named(task.kind).encoding is Encoding.INDEX
    return not classes or len(np.unique(targets)) > 1


def _probed(
    task: Task, labels: Labels, examples: Mapping[str, Examples], parts: Mapping[str, np.ndarray]
) -> np.ndarray:
    """Test scores (N,) of the probe fitted on some of the training and validation items."""
    features, targets = examples["test"]
    train, validation = (
        (examples[name][0][indices], examples[name][1][indices]) for name, indices in parts.items()
    )
    head = full_probe(task, train, validation, labels)
    return task.scores(answers(head, features), targets)
