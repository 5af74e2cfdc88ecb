"""Strategies tried in turn from cheap to dear, on validation or, where that is small, on folds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import sqrt

import numpy as np

from headstart import catalog, defaults, evidence
from headstart.contracts import Backbone, Encoding
from headstart.data import refolded
from headstart.data.targets import kind_named
from headstart.errors import HeadstartError
from headstart.evidence import Arm, ArmResult, Experiment
from headstart.evidence.trials import Start, Trial, outcomes, place, slot
from headstart.features.legality import cacheable_stages
from headstart.pipeline.demands import demand_steps
from headstart.pipeline.strategy_spec import FEATURES, StrategySpec
from headstart.runtime.budget import Budget

TIMELESS = "is left out, as the budget leaves no time for it."
SMALL, FOLDS = 250, 3  # validation items, below which strategies are compared on so many folds
BLENDED = {  # strategies with those that end half way between them and frozen features
    "last-stages": "last-stages?share=0.5",
    "lp-ft": "wise-ft?share=0.5",
}


@dataclass
class Ladder:
    """The experiments that strategies are tried on, one or a fold each, and the arms of each.

    Of a single experiment `results` are the same arms with the models that they made.
    """

    whole: Experiment
    backbone: Backbone
    starts: Sequence[Start]
    arms: list[dict[str, Arm]] = field(default_factory=list)
    results: dict[str, ArmResult] = field(default_factory=dict)

    @classmethod
    def over(cls, experiment: Experiment, backbone: Backbone, features: ArmResult) -> Ladder:
        """Folds of the training and validation items, or the splits as they are."""
        starts = [Start(experiment, backbone, features)]
        if len(experiment.dataset.split("validation")) < SMALL:
            parts = [_fold(experiment, number) for number in range(FOLDS)]
            starts = [
                Start(part, backbone, evidence.features_arm(part, backbone)) for part in parts
            ]
            experiment.progress.say(
                f"Strategies are compared on {FOLDS} folds, as validation is small."
            )
        arms = [{FEATURES: start.probe.arm} for start in starts]
        return cls(experiment, backbone, starts, arms, {FEATURES: features})

    @property
    def folded(self) -> bool:
        """Whether there are folds, so that the winner is yet to be trained."""
        return len(self.starts) > 1

    def climb(self, until: Budget) -> dict[str, Arm]:
        """Try each strategy with its part of the time that is left; the simplest come first.

        Those that train on stored activations are known before the others begin, so that these end
        early where they stay behind. Trials of a rung are independent.
        """
        specs = policy_strategies(self.whole, self.backbone)
        light = [spec for spec in specs if is_light(spec, self.backbone)]
        least = self._least() if until.limited else 0.0
        self._try(light, until, (len(specs), least))
        heavy = [spec for spec in specs if spec not in light]
        self._try(heavy, until, (len(heavy), least))
        return self._pooled()

    def _least(self) -> float:
        """Seconds that one pass over the items takes, with its judgement, in every fold."""
        return sum(evidence.Price.of(each.experiment, self.backbone).epoch for each in self.starts)

    def _try(self, specs: Sequence[StrategySpec], until: Budget, shares: tuple[int, float]) -> None:
        """Train by each in each fold, as one of so many that wait and take so many seconds each."""
        (waiting, least), executor = shares, self.whole.executor

        def trials() -> Iterator[Trial]:
            for position, spec in enumerate(specs):
                rest = waiting - position
                if slot(until, rest, executor).left() < least:
                    self.whole.progress.say(f"{spec} {TIMELESS}")
                    continue
                store_ahead(self.whole, self.backbone, spec)
                for number, start in enumerate(self.starts):
                    own = slot(until, rest * len(self.starts) - number, executor)
                    yield Trial((spec, number), start.experiment.budget, own)

        try_out = partial(_tried, self.starts, _hopeless(self._pooled()))
        for number, arms, results in outcomes(executor, try_out, trials()):
            self.arms[number] |= arms
            self.results |= {name: each.on(self.backbone) for name, each in results.items()}

    def _pooled(self) -> dict[str, Arm]:
        """Each arm over all folds: each item's score from the fold that held it back."""
        return {name: _over_folds([each[name] for each in self.arms]) for name in self.arms[0]}


def _over_folds(arms: Sequence[Arm]) -> Arm:
    if len(arms) == 1:
        return arms[0]
    checked = np.concatenate([arm.checked for arm in arms])
    loss = sum(arm.selection_key[1] * len(arm.checked) for arm in arms) / len(checked)
    selection_key, seconds = (float(checked.mean()), loss), sum(arm.seconds for arm in arms)
    return replace(arms[0], checked=checked, selection_key=selection_key, seconds=seconds)


def _tried(
    starts: Sequence[Start], hopeless: float, trial: Trial
) -> tuple[int, dict[str, Arm], dict[str, ArmResult]]:
    """A strategy and its blend on one of the experiments, by name; of folds without the models."""
    spec, number = trial.what
    start, name, backbone = starts[number], str(spec), starts[number].backbone
    own, features = replace(start.experiment, budget=trial.budget), start.probe
    results = {}
    if spec.head is not None:
        head = catalog.head(spec.head)
        results[name] = evidence.head_arm(own, backbone, head, name, features)
    else:
        results[name] = tuned = evidence.strategy_arm(
            own, backbone, spec.build(), name, features, trial.until, hopeless
        )
        if blend := BLENDED.get(name):
            results[blend] = evidence.blended_arm(own, backbone, features, tuned, blend)
    arms = {name: result.arm for name, result in results.items()}
    return number, arms, {} if len(starts) > 1 else results


def is_light(spec: StrategySpec, backbone: Backbone) -> bool:
    """Whether a strategy trains on stored activations."""
    strategy, stages = spec.build(), len(backbone.stages)
    return cacheable_stages(strategy, strategy.epochs(1), stages, augmented=False) > 0


def store_ahead(experiment: Experiment, backbone: Backbone, spec: StrategySpec) -> None:
    """Store the activations that several workers read, so that each isn't to compute them."""
    if experiment.executor.apart and spec.trains and is_light(spec, backbone):
        strategy = spec.build()
        experiment.splits(backbone, strategy, experiment.recipe(strategy, "", backbone).epochs)


def policy_strategies(experiment: Experiment, backbone: Backbone) -> list[StrategySpec]:
    """The policy's strategies that this backbone and this machine allow, from cheap to dear."""
    if not backbone.differentiable:
        return [StrategySpec.of(f"{FEATURES}?head={head}") for head in backbone.heads]
    dataset = experiment.dataset
    classes = kind_named(dataset.kind).encoding is Encoding.INDEX
    labels = len(dataset.labels) if classes else 0
    specs = []
    for name in defaults.ladder(len(dataset.split("train")), labels, backbone.delicate):
        try:
            spec = StrategySpec.of(name)
            demand_steps(spec, experiment, backbone)
        except HeadstartError as error:  # a package is missing, or items in a step
            experiment.progress.say(f"{name} is left out. {error}")
        else:
            specs.append(spec)
    return specs


def _fold(experiment: Experiment, number: int) -> Experiment:
    dataset, workspace = (
        refolded(experiment.dataset, number, FOLDS),
        place(experiment, f"fold-{number}"),
    )
    return replace(experiment, dataset=dataset, workspace=workspace)


def _hopeless(arms: dict[str, Arm]) -> float:
    """Two standard errors below the best arm so far, on validation."""
    best: Arm = max(arms.values(), key=lambda arm: arm.selection_key)
    return best.selection_key[0] - 2 * float(best.checked.std()) / sqrt(len(best.checked))
