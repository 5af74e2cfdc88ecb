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
from headstart.runtime.budget import Budget

SMALL, FOLDS = 250, 3  # validation items, below which strategies are compared on so many folds
_FEATURES = "feature-extraction"
BLENDED = {  # strategies with those that end half way between them and frozen features
    "last-stages": "last-stages?share=0.5",
    "lp-ft": "wise-ft?share=0.5",
}


@dataclass
class Ladder:
    """The targets that strategies are tried on, one or a fold each, and what came out there."""

    whole: Experiment
    backbone: Backbone
    targets: Sequence[Experiment]
    outcomes: list[dict[str, ArmResult]] = field(default_factory=list)

    @classmethod
    def over(cls, experiment: Experiment, backbone: Backbone, features: ArmResult) -> Ladder:
        """Folds of the training and validation items, or the splits as they are."""
        if len(experiment.dataset.split("validation")) >= SMALL:
            return cls(experiment, backbone, [experiment], [{_FEATURES: features}])
        targets = [_fold(experiment, number) for number in range(FOLDS)]
        arms = [{_FEATURES: evidence.features_arm(each, backbone)} for each in targets]
        experiment.progress.say(
            f"Strategies are compared on {FOLDS} folds, as validation is small."
        )
        return cls(experiment, backbone, targets, arms)

    @property
    def folded(self) -> bool:
        """Whether there are folds, so that the winner is yet to be trained."""
        return len(self.targets) > 1

    def climb(self, until: Budget) -> dict[str, Arm]:
        """Try each strategy with its part of the time that is left; the simplest come first."""
        judged = {_FEATURES: self._pooled(_FEATURES)}
        names = tried_names(self.whole, self.backbone)
        least = self._least() if until.limited else 0.0
        for place, name in enumerate(names):
            spent = until.spent()
            slot = until.until(spent + (1.0 - spent) / (len(names) - place))
            if slot.left() < least:
                told = "is left out, as the budget leaves no time for it."
                self.whole.progress.say(f"{name} {told}")
                continue
            self._try(name, slot, _hopeless(judged))
            for each in filter(None, (name, BLENDED.get(name))):
                judged[each] = self._pooled(each)
        return judged

    def _least(self) -> float:
        """Seconds that one pass over the items takes, with its judgement, in every fold."""
        return sum(evidence.Price.of(each, self.backbone).epoch for each in self.targets)

    def _try(self, name: str, until: Budget, hopeless: float) -> None:
        moves = catalog.strategy(name)
        for number, (experiment, arms) in enumerate(zip(self.targets, self.outcomes, strict=True)):
            spent = until.spent()
            slot = until.until(spent + (1.0 - spent) / (len(self.targets) - number))
            features = arms[_FEATURES]
            given = (experiment, self.backbone, moves, name, features, slot, hopeless)
            made = arms[name] = evidence.strategy_arm(*given)
            if blend := BLENDED.get(name):
                arms[blend] = evidence.blended_arm(experiment, self.backbone, features, made, blend)

    def _pooled(self, name: str) -> Arm:
        """One arm over all folds: each item's score from the fold that held it back."""
        arms = [found[name].arm for found in self.outcomes]
        if len(arms) == 1:
            return arms[0]
        checked = np.concatenate([arm.checked for arm in arms])
        loss = sum(arm.selection_key[1] * len(arm.checked) for arm in arms) / len(checked)
        selection_key, seconds = (float(checked.mean()), loss), sum(arm.seconds for arm in arms)
        return replace(arms[0], checked=checked, selection_key=selection_key, seconds=seconds)


def tried_names(experiment: Experiment, backbone: Backbone) -> list[str]:
    """The policy's strategies that this backbone and this machine allow, from cheap to dear."""
    if not backbone.differentiable:
        return []
    dataset = experiment.dataset
    classes = kind_named(dataset.kind).encoding is Encoding.INDEX
    labels = len(dataset.labels) if classes else 0
    found = []
    for name in defaults.ladder(len(dataset.split("train")), labels, backbone.delicate):
        try:
            catalog.strategy(name).epochs(1)
            demand_steps(name, experiment, backbone)
        except HeadstartError as error:  # a package is missing, or items in a step
            experiment.progress.say(f"{name} is left out. {error}")
        else:
            found.append(name)
    return found


def _fold(experiment: Experiment, number: int) -> Experiment:
    place = experiment.workspace / f"fold-{number}" if experiment.workspace else None
    return replace(experiment, dataset=refolded(experiment.dataset, number, FOLDS), workspace=place)


def _hopeless(judged: dict[str, Arm]) -> float:
    """Two standard errors below the best arm so far, on validation."""
    best: Arm = max(judged.values(), key=lambda arm: arm.selection_key)
    return best.selection_key[0] - 2 * float(best.checked.std()) / sqrt(len(best.checked))
