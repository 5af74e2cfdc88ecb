"""Where a model is good and where not: by class, label or number, and by group of items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import comb, erfc, sqrt
from typing import Any

import numpy as np

from headstart.contracts import Encoding, Targets, Task
from headstart.data.targets import known_kind
from headstart.evidence.assessor import Assessor
from headstart.evidence.intervals import LEVEL, Interval, average, paired
from headstart.evidence.resampling import PLAIN, Draws

WIDEST_CONFUSION = 200  # labels; the matrix of more is too large to look at, or to keep
_NORMAL = 1.959964  # standard deviations that hold 95 %
_METRICS = {Encoding.INDEX: "accuracy", Encoding.MARKS: "f1", Encoding.AMOUNTS: "r2"}


@dataclass(frozen=True)
class _Judged:
    """Two arms' outputs (N, labels) on the same test items; the second may be missing."""

    task: Task
    labels: Sequence[str]
    outputs: np.ndarray
    scratch: np.ndarray | None
    targets: np.ndarray
    draws: Draws

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
        entries = {"label": self.label, "items": self.items} | value
        entries["scratch"] = None if self.scratch is None else round(self.scratch, 5)
        return entries | {"change": self.change.to_json() if self.change else None}


def by_class(
    task: Task,
    labels: Sequence[str],
    outputs: np.ndarray,
    targets: np.ndarray,
    scratch: np.ndarray | None = None,
    draws: Draws = PLAIN,
) -> dict[str, Any] | None:
    """What the model scores on each class, label or number of the test items, and scratch beside.

    For classes the accuracy on the items of each, for label sets the F1 of each label, for numbers
    R². `outputs` and `scratch` (N, labels) are the arms' on the same items. `hurt` names those
    where the change's interval lies below 0, with all of them tested together (Holm 1979). `ntg` is
    the negative transfer gap, the error with the source less that without (Wang et al. 2019).
    `confusion` counts items by true (rows) and predicted class, up to 200 classes. None for other
    kinds of target.
    """
    kind = known_kind(task.kind)
    rows = _rows(kind, _Judged(task, labels, outputs, scratch, targets, draws)) if kind else None
    if kind is None or rows is None:
        return None
    chances = {row.label: row.chance for row in rows if row.change and row.change.high < 0}
    tested = sum(row.change is not None for row in rows)
    hurt = holm(chances, tested)
    gap = None
    if scratch is not None:
        gap = Assessor(task, targets, draws).gain(scratch, outputs).to_json()
    table: dict[str, Any] = {"rows": [row.to_json() for row in rows], "confusion": None}
    if kind.encoding is Encoding.INDEX and len(labels) <= WIDEST_CONFUSION:
        places = targets * len(labels) + outputs.argmax(axis=1)
        counts = np.bincount(places, minlength=len(labels) ** 2)
        table["confusion"] = counts.reshape(len(labels), -1).tolist()
    if task.measure is not None:  # the rows are of what the kind of target is judged by as a rule
        table["metric"] = _METRICS.get(kind.encoding, task.metric)
    return table | {"hurt": hurt, "ntg": gap, "said": _sentence(rows, hurt, tested, kind.words)}


def by_group(
    scores: np.ndarray,
    groups: Sequence[str],
    scratch: np.ndarray | None = None,
    draws: Draws = PLAIN,
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
            average(scores[own], **vars(draws.at(own))).times(sign),
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
    for own in (names == name for name in np.unique(names) if _of_classes(task) or resampled):
        scores[own] = task.scores(outputs[own], targets[own])
        if metric is not None and resampled:
            whole = np.ones((1, int(own.sum())))
            value = metric.resamples(task.predictions(outputs[own]), targets[own], whole)
            scores[own] += 0.0 * value
    return scores


def of_class(task: Task, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Each item's score (N,) among those of its class, where it has one: whether it is right."""
    if not _of_classes(task):
        return task.scores(outputs, targets)
    if task.judged_by() is None:  # it has scores of its own
        return within(task, outputs, targets, targets)
    return np.asarray(outputs.argmax(axis=1) == targets, dtype=np.float64)


def _of_classes(task: Task) -> bool:
    kind = known_kind(task.kind)
    return kind is not None and kind.encoding is Encoding.INDEX


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


def _rows(kind: Targets, answers: _Judged) -> list[_Row] | None:
    """The rows of a table by name; None where the kind of target has none."""
    if kind.encoding is Encoding.INDEX:
        return _classes(answers)
    return _resampled(kind, answers)


def _classes(answers: _Judged) -> list[_Row]:
    rows = []
    for number, label in enumerate(answers.labels):
        own = answers.targets == number
        items = int(own.sum())
        if not items:
            rows.append(_Row(label, 0, None))
            continue
        scores = [of_class(answers.task, arm[own], answers.targets[own]) for arm in answers.arms]
        draws = vars(answers.draws.at(own))
        row = _Row(label, items, average(scores[0], **draws))
        if len(scores) > 1:
            gain = paired(scores[0], scores[1], **draws)
            chance = sign_chance(scores[0] - scores[1])
            row = replace(row, scratch=float(scores[1].mean()), change=gain, chance=chance)
        rows.append(row)
    return rows


def _resampled(kind: Targets, answers: _Judged) -> list[_Row] | None:
    """A row for each name, from a measure of sums over items, which are resampled 2,000 times.

    A change's probability by chance is that of a normal distribution with the resamples' spread.
    None where the kind of target has no such sums.
    """
    columns = [
        kind.sums(answers.task.decode(arm, answers.labels), answers.targets, answers.labels)
        for arm in answers.arms
    ]
    if not columns[0]:
        return None
    measure, items = kind.measure, np.full(len(answers.labels), len(answers.targets))
    if kind.encoding is Encoding.MARKS:
        items = (answers.targets > 0).sum(axis=0)
    whole = [measure([part.sum(axis=0) for part in arm]) for arm in columns]
    blocks = [
        [measure([weights @ part for part in arm]) for arm in columns]
        for weights in answers.draws.weights(len(answers.targets))
    ]
    resampled = [np.concatenate([block[arm] for block in blocks]) for arm in range(len(columns))]
    rows = []
    for column, label in enumerate(answers.labels):
        row = _Row(label, int(items[column]), _bounds(whole[0][column], resampled[0][:, column]))
        if len(columns) > 1 and row.value:
            changes = resampled[0][:, column] - resampled[1][:, column]
            change = _bounds(whole[0][column] - whole[1][column], changes)
            scratch = float(whole[1][column]) if change else None
            row = replace(row, scratch=scratch, change=change, chance=_chance(change, changes))
        rows.append(row)
    return rows


def _bounds(value: float, resampled: np.ndarray) -> Interval | None:
    if not np.isfinite(value):
        return None
    sound = np.append(resampled[np.isfinite(resampled)], value)
    low, high = np.quantile(sound, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(value), min(float(value), float(low)), max(float(value), float(high)))


def _chance(change: Interval | None, changes: np.ndarray) -> float:
    spread = float(np.std(changes[np.isfinite(changes)])) if change else 0.0
    return erfc(abs(change.value) / spread / sqrt(2)) if change and spread > 0 else 1.0


def _sentence(
    rows: Sequence[_Row], hurt: Sequence[str], tested: int, words: tuple[str, str]
) -> str:
    one, many = words
    scores = [(row.value.value, row.label) for row in rows if row.value]
    if not scores:
        return f"No {one} has test items to judge it by."
    value, label = min(scores)
    sentence = f"The lowest {one} is {label!r} at {value:.3f}."
    if tested:
        names = ", ".join(map(repr, hurt)) or f"no {one} beyond chance"
        sentence += f" The transfer hurts {names} ({tested} {one if tested == 1 else many} tested)."
    return sentence
