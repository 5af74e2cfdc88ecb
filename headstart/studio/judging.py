"""What a probe on these examples is worth: repeated folds, and the answer that needs no model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np

from headstart import catalog
from headstart.contracts import Task
from headstart.data import DataReport, Dataset, Item, fold_dataset, most_folds
from headstart.data.clusters import clustered
from headstart.data.targets import USUAL, kind_named
from headstart.defaults import FOLDS, repeats
from headstart.evidence.assessor import Assessor
from headstart.evidence.fitting import answers
from headstart.evidence.folds import Folds
from headstart.evidence.intervals import Interval, gained, verdict
from headstart.evidence.resampling import Draws
from headstart.studio.examples import Example

REPEATS = repeats(trains=False)
_SAID = {
    "helps": "Better than always giving the commonest class",
    "hurts": "Worse than always giving the commonest class",
    "no evidence": "Not yet told from always giving the commonest class",
}


@final
@dataclass(frozen=True)
class Judgement:
    """The held-out score of so many examples, and what it is over the naive answer.

    `alike` counts the examples of families so large that folds may part them; `left_out` are the
    classes that have too few different examples to hold one out.
    """

    score: Interval
    gain: Interval
    metric: str
    folds: int
    repeats: int
    examples: int
    alike: int
    left_out: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """What the page shows of it."""
        mood = verdict(self.gain)
        ahead, low, high = gained(self.gain, self.metric)
        return self.score.to_json() | {
            "metric": self.metric,
            "examples": self.examples,
            "mood": mood.replace(" ", "-"),
            "verdict": f"{_SAID[mood]}: {ahead}, 95 % interval {low} to {high}.",
            "how": f"{self.folds} folds, shared out {self._times}; {self._apart}{self._rare}",
        }

    @property
    def _times(self) -> str:
        return "once" if self.repeats == 1 else f"{self.repeats} times"

    @property
    def _rare(self) -> str:
        few = ", ".join(self.left_out)
        return f" Without {few}: give two different examples." if few else ""

    @property
    def _apart(self) -> str:
        if not self.alike:
            return "each example is answered by a head that has not seen it, nor its near copies."
        return (
            f"{self.alike} examples look so alike that they count as different, and the score may "
            "flatter. Give others: another place, another light, another voice."
        )


def task_for(modality: str, targets: np.ndarray, labels: Sequence[str]) -> Task:
    """The task as `fit` sets it for these classes (N,): where they are uneven each counts alike."""
    name = f"{modality}-classification"
    offered = kind_named(USUAL).task_settings(targets, len(labels), True)
    return catalog.task(name, **catalog.task_settings(name, offered))


def judgements(
    examples: Sequence[Example],
    labels: Sequence[str],
    task: Task,
    rows: Callable[[Sequence[Item]], np.ndarray],
    stop: Callable[[], bool],
) -> Iterator[Judgement]:
    """A judgement after each repeat of the folds; it ends early where `stop` says so.

    `rows` gives the features (N, D) of items. Near copies, as of one movement before a camera, are
    never parted, unless they are very many. Classes with fewer than two different examples are left
    out; nothing comes where fewer than two are left.
    """
    sketches = {each.key: each.sketch for each in examples}
    apart = clustered([each.item for each in examples], sketches, grouped=False)
    different = Counter(label for label, _ in {(i.label, i.cluster) for i in apart.items})
    left_out = tuple(name for name in labels if different[name] < 2)
    items = tuple(item for item in apart.items if item.label not in left_out)
    if len(labels) - len(left_out) < 2:
        return
    dataset = Dataset(Path(), items, tuple(labels), DataReport(len(items), {}, ""), USUAL)
    targets = kind_named(USUAL).encode([item.label for item in items], labels)
    held_out = _HeldOut(dataset, rows(items), targets, task, min(FOLDS, most_folds(dataset)))
    clusters = np.unique([item.cluster for item in items], return_inverse=True)[1]
    rounds: list[tuple[np.ndarray, ...]] = []
    for repeat in range(REPEATS):
        if (answered := held_out.answers(repeat, stop)) is None:
            return
        rounds.append(answered)
        outputs, always, of = (np.stack(part) for part in zip(*rounds, strict=True))
        yield Judgement(
            *held_out.worth(outputs, always, Folds(of), clusters),
            task.metric,
            held_out.folds,
            repeat + 1,
            len(items),
            sum(map(len, apart.alike)),
            left_out,
        )


@final
@dataclass(frozen=True, eq=False)
class _HeldOut:
    """Examples with features (N, D) and targets (N,), each answered by a probe without it."""

    dataset: Dataset
    features: np.ndarray
    targets: np.ndarray
    task: Task
    folds: int

    def answers(self, repeat: int, stop: Callable[[], bool]) -> tuple[np.ndarray, ...] | None:
        """A probe's outputs (N, labels), the naive ones, and the folds (N,); None where stopped."""
        labels, targets = self.dataset.labels, self.targets
        own = np.empty((len(targets), len(labels)), dtype=np.float32)
        always, fold_of = np.empty_like(own), np.zeros(len(targets), dtype=int)
        for fold in range(self.folds):
            if stop():
                return None
            part = fold_dataset(self.dataset, fold, self.folds, repeat).items
            test = np.array([item.split == "test" for item in part])
            train = self.features[~test], targets[~test]
            head = self.task.linear_probe(train, _none(train), labels)
            own[test] = answers(head, self.features[test])
            always[test], fold_of[test] = self.task.naive(targets[~test], labels), fold
        return own, always, fold_of

    def worth(
        self, outputs: np.ndarray, always: np.ndarray, folds: Folds, clusters: np.ndarray
    ) -> tuple[Interval, Interval]:
        """What the outputs (R, N, labels) are worth, and how much more than the naive ones."""
        ours, naive = (
            np.stack([self.task.scores(own, self.targets) for own in each])
            for each in (outputs, always)
        )
        draws = Draws(clusters=clusters, spread=folds.spread(len(ours)))
        judge = Assessor(self.task, self.targets, draws)
        if judge.resampled is None:
            score, gain = folds.average(ours, clusters=clusters), None
        else:
            score = judge.allowed(judge.interval(outputs[0]).moved(float(ours.mean())))
            gain = judge.gain(outputs[0], always[0])
        return score, folds.gain(ours, naive, clusters=clusters, resampled=gain)


def _none(examples: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """No examples of this kind: a probe picks its strength by folds of those it learns from."""
    return examples[0][:0], examples[1][:0]
