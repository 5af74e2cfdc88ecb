"""Judging by folds: each strategy learns from the rest of every fold, and answers the fold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

import numpy as np

from headstart import defaults, evidence
from headstart.contracts import Backbone
from headstart.data import Dataset, everything, fold_dataset, most_folds
from headstart.evidence import Arm, ArmResult, Experiment
from headstart.evidence.folds import Folds
from headstart.evidence.trials import Start, Trial, outcomes, place, slot
from headstart.pipeline.strategy_spec import FEATURES
from headstart.runtime.budget import Budget
from headstart.runtime.progress import Advance, Silent

Judged = TypeVar("Judged")
Judge = Callable[[Start, Trial], Judged]  # an arm on a fold, within the experiment's budget
Pick = Callable[[Mapping[str, Arm]], str]


def by_folds(experiment: Experiment) -> bool:
    """Whether folds judge what is transferred to this target, by the settings or the policy.

    Folds start from a probe each: a task without is judged on held-out items.
    """
    dataset = experiment.dataset
    judge = experiment.settings.judge
    if judge == "auto":
        held_out = len(dataset.split("test"))
        judge = defaults.judge(len(dataset.items), held_out, dataset.has_test_split)
    return judge == "cv" and experiment.task.has_probe and most_folds(dataset) > 1


@dataclass
class Folding:
    """All items to learn from, the same shared out to folds, and what each arm answered there.

    `features` are the frozen backbone's outcomes, one a fold, from which other arms start. `arms`
    are all arms on the folds by name, without the models.
    """

    whole: Experiment
    parts: Sequence[Experiment]  # the folds of each repeat in turn
    folds: Folds
    features: list[ArmResult] = field(default_factory=list)
    arms: dict[str, list[Arm]] = field(default_factory=dict)

    @classmethod
    def over(cls, experiment: Experiment, trains: bool) -> Folding:
        """Share out the items of a target; anew several times where only heads are fitted."""
        dataset = experiment.dataset
        count, repeats = min(defaults.FOLDS, most_folds(dataset)), defaults.repeats(trains)
        parts: list[Experiment] = []
        of = np.zeros((repeats, len(dataset.items)), dtype=int)
        for repeat in range(repeats):
            for fold in range(count):
                part = fold_dataset(dataset, fold, count, repeat)
                of[repeat, [item.split == "test" for item in part.items]] = fold
                parts.append(_part(experiment, part, len(parts)))
        whole = replace(experiment, dataset=everything(dataset))
        return cls(whole, parts, Folds(of))

    @property
    def held_out_experiment(self) -> Experiment:
        """The target of which every item is held out, as all are in one of the folds."""
        dataset = self.whole.dataset
        items = tuple(replace(item, split="test") for item in dataset.items)
        return replace(self.whole, dataset=replace(dataset, items=items))

    def extract(self, backbone: Backbone) -> None:
        """Fit the probe on each fold's part of the stored features."""
        with self._tracked("features", len(self.parts)) as advance:
            for part in self.parts:
                self.features.append(evidence.features_arm(part, backbone))
                advance(1)
        self.arms[FEATURES] = [outcome.arm for outcome in self.features]

    def naive(self) -> Arm:
        """The naive model over all items, from what each fold leaves to learn from."""
        pairs = zip(self.parts, self.features, strict=True)
        self.arms["naive"] = [evidence.naive_arm(part, each).arm for part, each in pairs]
        return self.arm("naive")

    def baseline(self) -> Arm | None:
        """The cheap baseline over all items; None where there is none in some fold, or no time."""
        arms: list[Arm] = []
        for part in self.parts[: self.folds.count]:
            arm = None if part.budget.over() else evidence.baseline_arm(part)
            if arm is None:
                return None
            arms.append(arm)
        self.arms["baseline"] = arms
        return self.arm("baseline")

    def add(
        self, name: str, judge: Judge[Arm], backbone: Backbone, budget: Budget, repeats: int = 1
    ) -> bool:
        """Make an arm on the folds of so many repeats; answer whether there was time for it."""
        numbers = range(repeats * self.folds.count)
        arms = self.judged(name, judge, backbone, numbers, budget)
        if arms is not None:
            self.arms[name] = arms
        return arms is not None

    def judged(
        self, name: str, judge: Judge[Judged], backbone: Backbone, numbers: range, budget: Budget
    ) -> list[Judged] | None:
        """What comes of each of some folds, wherever trainings are done.

        Each gets its part of the time that is left; None without time for all of them.
        """
        executor, done = self.whole.executor, list[Judged]()
        starts = [
            Start(self.parts[n], backbone, self.features[n] if self.features else None)
            for n in numbers
        ]

        def trials() -> Iterator[Trial]:
            for position in range(len(numbers)):
                if budget.over():
                    return
                until = slot(budget, len(numbers) - position, executor)
                yield Trial(position, until, until)

        with self._tracked(name, len(numbers)) as advance:
            for each in outcomes(executor, partial(_judged, starts, judge), trials()):
                done.append(each)
                advance(1)
        return done if len(done) == len(numbers) else None

    def arm(self, name: str) -> Arm:
        """One arm over all items, each judged by the training that it was held out of.

        Its `checked` are the same scores: strategies are compared on them, for folds that had no
        part in the comparison.
        """
        arms, count = self.arms[name], self.folds.count
        rows = [
            self._pooled(arms[count * place : count * (place + 1)], place)
            for place in range(len(arms) // count)
        ]
        return self._arm(arms[0], rows, arms[:count])

    def chosen(self, arms: Mapping[str, Arm], pick: Pick) -> tuple[str, Arm]:
        """The arm that is best over all folds, and what choosing so is worth.

        Each fold is answered by the arm that is picked on the scores of the other folds, so that
        no item has a part in choosing what it judges (cf. Tsamardinos et al. 2018).
        """
        best, of = pick(arms), self.folds.of[0]
        own = [pick(_without(arms, of == fold)) for fold in range(self.folds.count)]
        if set(own) == {best}:
            return best, arms[best]
        outputs = arms[best].outputs["test"].copy()
        for fold, name in enumerate(own):
            outputs[of == fold] = arms[name].outputs["test"][of == fold]
        return best, self._arm(arms[best], [outputs], [arms[best]])

    def describe(self) -> str:
        """How it was judged, in a sentence."""
        anew = f", shared out {self.folds.repeats} times anew" if self.folds.repeats > 1 else ""
        return (
            f"Judged by {self.folds.count} folds of all {len(self.whole.dataset.items)} items{anew}"
            "; the model handed over is made from all of them."
        )

    def _tracked(self, name: str, total: int) -> AbstractContextManager[Advance]:
        return self.whole.progress.track(f"{name} in folds", total)

    def _pooled(self, arms: Sequence[Arm], repeat: int) -> np.ndarray:
        """The outputs (N, labels) for all items, from the folds that held each of them out."""
        shape = len(self.whole.dataset.items), arms[0].outputs["test"].shape[1]
        outputs, of = np.empty(shape, dtype=np.float32), self.folds.of[repeat]
        for fold, arm in enumerate(arms):
            outputs[of == fold] = arm.outputs["test"]
        return outputs

    def _arm(self, like: Arm, rows: Sequence[np.ndarray], folds: Sequence[Arm]) -> Arm:
        task, truth = self.whole.task, self.held_out_experiment.dataset.targets("test")
        repeated = np.stack([task.scores(outputs, truth) for outputs in rows])
        scores = repeated.mean(axis=0)
        selection_key = float(scores.mean()), -float(task.losses(rows[0], truth).mean())
        return replace(
            like,
            scores=scores,
            repeated=repeated,
            selection_key=selection_key,
            checked=scores,
            seconds=sum(arm.seconds for arm in folds),
            steps=min(arm.steps for arm in folds),
            outputs={"validation": rows[0], "test": rows[0]},
        )


def _judged(starts: Sequence[Start], judge: Judge[Judged], trial: Trial) -> Judged:
    start = starts[trial.what]
    return judge(replace(start, experiment=replace(start.experiment, budget=trial.budget)), trial)


def _part(experiment: Experiment, dataset: Dataset, number: int) -> Experiment:
    """One fold with a seed and a place of its own, so that folds show the luck of trainings."""
    settings = replace(experiment.settings, seed=experiment.settings.seed + number)
    workspace = place(experiment, f"fold-{number}")
    return replace(
        experiment, dataset=dataset, workspace=workspace, progress=Silent(), settings=settings
    )


def _without(arms: Mapping[str, Arm], fold: np.ndarray) -> dict[str, Arm]:
    """The arms as they look from the other folds."""
    others = {}
    for name, arm in arms.items():
        checked = arm.checked[~fold]
        selection_key = float(checked.mean()), arm.selection_key[1]
        others[name] = replace(arm, checked=checked, selection_key=selection_key)
    return others
