"""Where a model is good and where not: by class, label or number, and by group of items."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import comb, erfc, sqrt
from typing import Any

import numpy as np

from headstart.contracts import Task
from headstart.evidence.intervals import LEVEL, Interval, average, paired
from headstart.evidence.resampling import drawn

WIDEST_CONFUSION = 200  # labels; the matrix of more is too large to look at, or to keep
_NORMAL = 1.959964  # standard deviations that hold 95 %
_NOTHING = 1e-9  # of an item: what is less is rounding
_WORDS = {
    "classes": ("class", "classes"),
    "label sets": ("label", "labels"),
    "numbers": ("number", "numbers"),
}
_METRICS = {"classes": "accuracy", "label sets": "f1", "numbers": "r2"}
Arrays = Sequence[np.ndarray]


@dataclass(frozen=True)
class _Judged:
    """Two arms' outputs (N, labels) on the same test items; the second may be missing."""

    task: Task
    labels: Sequence[str]
    outputs: np.ndarray
    scratch: np.ndarray | None
    targets: np.ndarray
    seed: int

    @property
    def arms(self) -> list[np.ndarray]:
        return [self.outputs] if self.scratch is None else [self.outputs, self.scratch]


@dataclass(frozen=True)
class _Row:
    """One class, label or number: its items, its value, and how much better that is than scratch.

    `chance` is the probability of so large a change where there is none.
    """

    label: str
    items: int
    value: Interval | None
    scratch: float | None = None
    change: Interval | None = None
    chance: float = 1.0

    def to_json(self) -> dict[str, Any]:
        value = self.value.to_json() if self.value else dict.fromkeys(("value", "low", "high"))
        record = {"label": self.label, "items": self.items} | value
        record["scratch"] = None if self.scratch is None else round(self.scratch, 5)
        return record | {"change": self.change.to_json() if self.change else None}


def by_class(
    task: Task,
    labels: Sequence[str],
    outputs: np.ndarray,
    targets: np.ndarray,
    scratch: np.ndarray | None = None,
    seed: int = 0,
) -> dict[str, Any] | None:
    """What the model scores on each class, label or number of the test items, and scratch beside.

    For classes the accuracy on the items of each, for label sets the F1 of each label, for numbers
    R². `outputs` and `scratch` (N, labels) are the arms' on the same items. `hurt` names those
    where the change's interval lies below 0, with all of them tested together (Holm 1979). `ntg` is
    the negative transfer gap, the error with the source less that without (Wang et al. 2019).
    `confusion` counts items by true (rows) and predicted class, up to 200 classes. None for other
    kinds of target.
    """
    if task.kind not in _ROWS:
        return None
    rows = _ROWS[task.kind](_Judged(task, labels, outputs, scratch, targets, seed))
    chances = {row.label: row.chance for row in rows if row.change and row.change.high < 0}
    tested = sum(row.change is not None for row in rows)
    hurt = holm(chances, tested)
    gap = None
    if scratch is not None:
        without, using = task.scores(scratch, targets), task.scores(outputs, targets)
        gap = paired(without, using, seed).to_json()
    record: dict[str, Any] = {"rows": [row.to_json() for row in rows], "confusion": None}
    if task.kind == "classes" and len(labels) <= WIDEST_CONFUSION:
        places = targets * len(labels) + outputs.argmax(axis=1)
        counts = np.bincount(places, minlength=len(labels) ** 2)
        record["confusion"] = counts.reshape(len(labels), -1).tolist()
    if task.measure is not None:  # the rows are of what the kind of target is judged by as a rule
        record["metric"] = _METRICS[task.kind]
    return record | {"hurt": hurt, "ntg": gap, "said": _said(rows, hurt, tested, task.kind)}


def by_group(
    scores: np.ndarray,
    groups: Sequence[str],
    scratch: np.ndarray | None = None,
    seed: int = 0,
    sign: int = 1,
) -> list[dict[str, Any]]:
    """The mean score (N,) of each group of items with its interval, the worst group first.

    `scratch` (N,) are that arm's scores on the same items; what it reaches in a group stands beside
    (Sagawa et al. 2020 look at the worst group, which the mean over all hides). Groups whose scores
    are no numbers are left out. `sign` is -1 where less is better, and scores are negatives.
    """
    names = np.asarray(groups)
    rows = [
        _Row(
            str(name),
            int(own.sum()),
            average(scores[own], seed).times(sign),
            None
            if scratch is None or np.isnan(scratch[own]).any()
            else sign * float(scratch[own].mean()),
        )
        for name in np.unique(names)
        for own in [names == name]
        if not np.isnan(scores[own]).any()
    ]
    rows.sort(key=lambda row: (sign * row.value.value if row.value else 0.0, row.label))
    return [
        {"group": row.label, "items": row.items, "scratch": row.scratch}
        | (row.value.to_json() if row.value else {})
        for row in rows
    ]


def within(task: Task, outputs: np.ndarray, targets: np.ndarray, groups: Any) -> np.ndarray:
    """Each item's score (N,) in its group (N,), balanced there; no number if that can't tell."""
    metric, names = task.judged_by(), np.asarray(groups)
    scores = task.scores(outputs, targets)
    resampled = metric is not None and metric.resampled
    for own in (names == name for name in np.unique(names) if task.kind == "classes" or resampled):
        scores[own] = task.scores(outputs[own], targets[own])
        if metric is not None and resampled:
            whole = np.ones((1, int(own.sum())))
            value = metric.resamples(task.predictions(outputs[own]), targets[own], whole)
            scores[own] += 0.0 * value
    return scores


def of_class(task: Task, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Each item's score (N,) among those of its class, where it has one: whether it is right."""
    if task.kind != "classes":
        return task.scores(outputs, targets)
    if task.judged_by() is None:  # it has scores of its own
        return within(task, outputs, targets, targets)
    return np.asarray(outputs.argmax(axis=1) == targets, dtype=np.float64)


def holm(chances: Mapping[str, float], tested: int) -> list[str]:
    """The names whose probabilities by chance hold with `tested` tests in all, the least first.

    Holm's step-down procedure (1979) at 5 %; the tests that aren't among `chances` found nothing.
    """
    rejected = []
    for place, name in enumerate(sorted(chances, key=lambda name: chances[name])):
        if chances[name] * (tested - place) > 1 - LEVEL:
            break
        rejected.append(name)
    return rejected


def sign_chance(change: np.ndarray) -> float:
    """How probable so many more losses than gains (or the reverse) are where both are as likely.

    The exact two-sided sign test over pairs of 0 and 1 that differ (McNemar 1947).
    """
    gains, losses = int((change > 0).sum()), int((change < 0).sum())
    count = gains + losses
    tail = sum(comb(count, wins) for wins in range(min(gains, losses) + 1))
    return min(1.0, float(2 * tail / 2**count))


def _classes(case: _Judged) -> list[_Row]:
    rows = []
    for number, label in enumerate(case.labels):
        own = case.targets == number
        items = int(own.sum())
        if not items:
            rows.append(_Row(label, 0, None))
            continue
        scores = [of_class(case.task, arm[own], case.targets[own]) for arm in case.arms]
        row = _Row(label, items, average(scores[0], case.seed))
        if len(scores) > 1:
            gain = paired(scores[0], scores[1], case.seed)
            chance = sign_chance(scores[0] - scores[1])
            row = replace(row, scratch=float(scores[1].mean()), change=gain, chance=chance)
        rows.append(row)
    return rows


def _label_sets(case: _Judged) -> list[_Row]:
    """Each label's F1; a label that no item has and none gets has no value."""
    true = case.targets > 0

    def parts(outputs: np.ndarray) -> Arrays:
        answers = (set(answer["labels"]) for answer in case.task.decode(outputs, case.labels))
        predicted = np.array([[label in answer for label in case.labels] for answer in answers])
        return [2.0 * (true & predicted), true.astype(np.float64) + predicted]

    def f1(sums: Arrays) -> np.ndarray:
        return _over(*sums)

    return _resampled(case, parts, f1, true.sum(axis=0))


def _numbers(case: _Judged) -> list[_Row]:
    """Each number's R² in the user's units; a number that never changes has no value."""
    true = case.targets.astype(np.float64)
    scale = np.where((true == true[0]).all(axis=0), np.inf, true.std(axis=0))
    centred = (true - true.mean(axis=0)) / scale

    def parts(outputs: np.ndarray) -> Arrays:
        answers = case.task.decode(outputs, case.labels)
        rows = [list(row.get("values", {"": row.get("value")}).values()) for row in answers]
        errors = (true - np.array(rows, dtype=np.float64)) / scale
        return [errors**2, centred, centred**2]

    def r2(sums: Arrays) -> np.ndarray:
        errors, total, squares = sums
        return 1 - _over(errors, squares - total**2 / len(true))

    return _resampled(case, parts, r2, np.full(true.shape[1], len(true)))


_ROWS = {"classes": _classes, "label sets": _label_sets, "numbers": _numbers}


def _resampled(
    case: _Judged,
    parts: Callable[[np.ndarray], Arrays],
    measure: Callable[[Arrays], np.ndarray],
    items: np.ndarray,
) -> list[_Row]:
    """A row for each column, from a measure of sums over items, which are resampled 2,000 times.

    `parts` are what an arm's items add to the sums, (N, K) each; a change's probability by chance
    is that of a normal distribution with the resamples' spread.
    """
    statistics = [parts(arm) for arm in case.arms]
    whole = [measure([part.sum(axis=0) for part in arm]) for arm in statistics]
    blocks = [
        [measure([weights @ part for part in arm]) for arm in statistics]
        for weights in drawn(len(case.targets), case.seed)
    ]
    resampled = [np.concatenate([block[arm] for block in blocks]) for arm in range(len(statistics))]
    rows = []
    for column, label in enumerate(case.labels):
        row = _Row(label, int(items[column]), _bounds(whole[0][column], resampled[0][:, column]))
        if len(statistics) > 1 and row.value:
            changes = resampled[0][:, column] - resampled[1][:, column]
            change = _bounds(whole[0][column] - whole[1][column], changes)
            scratch = float(whole[1][column]) if change else None
            row = replace(row, scratch=scratch, change=change, chance=_chance(change, changes))
        rows.append(row)
    return rows


def _over(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """The ratio, not a number where there is nothing to divide by."""
    sound = below > _NOTHING
    return np.where(sound, above / np.where(sound, below, 1.0), np.nan)


def _bounds(value: float, resampled: np.ndarray) -> Interval | None:
    if not np.isfinite(value):
        return None
    sound = np.append(resampled[np.isfinite(resampled)], value)
    low, high = np.quantile(sound, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(value), min(float(value), float(low)), max(float(value), float(high)))


def _chance(change: Interval | None, changes: np.ndarray) -> float:
    spread = float(np.std(changes[np.isfinite(changes)])) if change else 0.0
    return erfc(abs(change.value) / spread / sqrt(2)) if change and spread > 0 else 1.0


def _said(rows: Sequence[_Row], hurt: Sequence[str], tested: int, kind: str) -> str:
    one, many = _WORDS[kind]
    values = [(row.value.value, row.label) for row in rows if row.value]
    if not values:
        return f"No {one} has test items to judge it by."
    value, label = min(values)
    sentence = f"The lowest {one} is {label!r} at {value:.3f}."
    if tested:
        names = ", ".join(map(repr, hurt)) or f"no {one} beyond chance"
        sentence += f" The transfer hurts {names} ({tested} {one if tested == 1 else many} tested)."
    return sentence
