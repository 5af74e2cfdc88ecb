"""Strategies tried in turn from cheap to dear, on validation or, where that is small, on folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import sqrt

import numpy as np

from headstart import catalog, defaults, evidence
from headstart.contracts import Backbone, Encoding
from headstart.data import refolded
from headstart.data.targets import kind_named
from headstart.errors import HeadstartError
from headstart.evidence import Arm, ArmResult, Experiment
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
    """The experiments that strategies are tried on, one or a fold each, and the arms of each."""

    whole: Experiment
    backbone: Backbone
    parts: Sequence[Experiment]
    arms: list[dict[str, ArmResult]] = field(default_factory=list)

    @classmethod
    def over(cls, experiment: Experiment, backbone: Backbone, features: ArmResult) -> Ladder:
        """Folds of the training and validation items, or the splits as they are."""
        if len(experiment.dataset.split("validation")) >= SMALL:
            return cls(experiment, backbone, [experiment], [{FEATURES: features}])
        parts = [_fold(experiment, number) for number in range(FOLDS)]
        arms = [{FEATURES: evidence.features_arm(part, backbone)} for part in parts]
        experiment.progress.say(
            f"Strategies are compared on {FOLDS} folds, as validation is small."
        )
        return cls(experiment, backbone, parts, arms)

    @property
    def folded(self) -> bool:
        """Whether there are folds, so that the winner is yet to be trained."""
        return len(self.parts) > 1

    def climb(self, until: Budget) -> dict[str, Arm]:
        """Try each strategy with its part of the time that is left; the simplest come first."""
        pooled = {FEATURES: self._pooled(FEATURES)}
        specs = policy_strategies(self.whole, self.backbone)
        least = self._least() if until.limited else 0.0
        for place, spec in enumerate(specs):
            slot = until.part(len(specs) - place)
            if slot.left() < least:
                self.whole.progress.say(f"{spec} {TIMELESS}")
                continue
            self._try(spec, slot, _hopeless(pooled))
            for name in filter(None, (str(spec), BLENDED.get(str(spec)))):
                pooled[name] = self._pooled(name)
        return pooled

    def _least(self) -> float:
        """Seconds that one pass over the items takes, with its judgement, in every fold."""
        return sum(evidence.Price.of(part, self.backbone).epoch for part in self.parts)

    def _try(self, spec: StrategySpec, until: Budget, hopeless: float) -> None:
        strategy, name = spec.build(), str(spec)
        for number, (part, arms) in enumerate(zip(self.parts, self.arms, strict=True)):
            slot, features = until.part(len(self.parts) - number), arms[FEATURES]
            if spec.head is not None:
                head = catalog.head(spec.head)
                arms[name] = evidence.head_arm(part, self.backbone, head, name, features)
                continue
            tuned = arms[name] = evidence.strategy_arm(
                part, self.backbone, strategy, name, features, slot, hopeless
            )
            if blend := BLENDED.get(name):
                arms[blend] = evidence.blended_arm(part, self.backbone, features, tuned, blend)

    def _pooled(self, name: str) -> Arm:
        """One arm over all folds: each item's score from the fold that held it back."""
        arms = [each[name].arm for each in self.arms]
        if len(arms) == 1:
            return arms[0]
        checked = np.concatenate([arm.checked for arm in arms])
        loss = sum(arm.selection_key[1] * len(arm.checked) for arm in arms) / len(checked)
        selection_key, seconds = (float(checked.mean()), loss), sum(arm.seconds for arm in arms)
        return replace(arms[0], checked=checked, selection_key=selection_key, seconds=seconds)


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
    place = experiment.workspace / f"fold-{number}" if experiment.workspace else None
    return replace(experiment, dataset=refolded(experiment.dataset, number, FOLDS), workspace=place)


def _hopeless(arms: dict[str, Arm]) -> float:
    """Two standard errors below the best arm so far, on validation."""
    best: Arm = max(arms.values(), key=lambda arm: arm.selection_key)
    return best.selection_key[0] - 2 * float(best.checked.std()) / sqrt(len(best.checked))
