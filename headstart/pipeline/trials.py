"""What strategies are worth on one backbone: one that was named, or several from cheap to dear."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import sqrt

from headstart import catalog, defaults, evidence
from headstart.budget import Budget
from headstart.contracts import Backbone, Strategy
from headstart.errors import HeadstartError
from headstart.evidence import Arm, Outcome, Target
from headstart.pipeline.prepare import AUTO

FEATURES = "feature-extraction"
SHARE = 0.6  # of a budget, by when all strategies must be done where scratch comes after them
LEAST = 5.0  # seconds, below which beginning a training is no use
_BLENDED = "lp-ft"


@dataclass
class Trial:
    """One backbone with the arms that were trained from it, the simplest first."""

    target: Target
    source: Backbone
    asked: str  # the strategy as it was named
    tried: dict[str, Outcome] = field(default_factory=dict)

    @property
    def winner(self) -> str:
        """The strategy of the arm to go on with: the one named, or of several the simplest."""
        if self.asked != AUTO:
            return list(self.tried)[-1]
        return evidence.simplest({name: made.arm for name, made in self.tried.items()})

    @property
    def moves(self) -> Strategy:
        """The winner's strategy."""
        return catalog.strategy(self.winner)


def run(target: Target, source: Backbone, asked: str, until: Budget | None = None) -> Trial:
    """Extract features, fit the probe, and train by the strategy asked for, or by several.

    All is done when the budget `until` ends, if one is given.
    """
    features = evidence.features_arm(target, source)
    trial = Trial(target, source, asked, {FEATURES: features})
    if asked == AUTO:
        _climb(trial, features, until or target.budget.until(_share(target)))
        return trial
    moves = catalog.strategy(asked)
    made = features
    if moves.epochs(1):
        made = evidence.strategy_arm(target, source, moves, asked, features, until)
    trial.tried[asked] = made
    return trial


def _climb(trial: Trial, features: Outcome, until: Budget) -> None:
    """Try the policy's strategies in turn, each with its part of the time that is left."""
    target, source = trial.target, trial.source
    names = _ladder(target, source)
    for place, name in enumerate(names):
        spent = until.spent()
        slot = until.until(spent + (1.0 - spent) / (len(names) - place))
        if slot.left() < LEAST:
            target.progress.say(f"{name} is left out, as the budget leaves no time for it.")
            continue
        moves = catalog.strategy(name)
        given = (target, source, moves, name, features, slot, _hopeless(trial))
        made = trial.tried[name] = evidence.strategy_arm(*given)
        if name == _BLENDED and made.training.best > 0:
            blends = evidence.blended_arms(target, source, features, made).values()
            best = max(blends, key=lambda blend: blend.arm.merit)
            trial.tried[best.arm.strategy] = best


def _ladder(target: Target, source: Backbone) -> list[str]:
    """The policy's strategies that this backbone and this machine allow."""
    if not source.differentiable:
        return []
    dataset = target.dataset
    labels = len(dataset.labels) if dataset.kind == "classes" else 0
    found = []
    for name in defaults.ladder(len(dataset.split("train")), labels, source.delicate):
        try:
            catalog.strategy(name).epochs(1)
        except HeadstartError as error:  # a package is missing
            target.progress.say(f"{name} is left out. {error}")
        else:
            found.append(name)
    return found


def _hopeless(trial: Trial) -> float:
    """Two standard errors below the best arm so far, on validation."""
    best: Arm = max((made.arm for made in trial.tried.values()), key=lambda arm: arm.merit)
    error = float(best.checked.std()) / sqrt(len(best.checked))
    return best.merit[0] - 2 * error


def _share(target: Target) -> float:
    return SHARE if target.settings.scratch else 1.0
