"""What strategies are worth on one backbone: one that was named, or several from cheap to dear."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from headstart import catalog, evidence
from headstart.budget import Budget
from headstart.contracts import Backbone, Strategy
from headstart.data import Dataset
from headstart.evidence import Arm, Outcome, Target
from headstart.pipeline.affordable import features_in_time, has_time
from headstart.pipeline.demands import AUTO, demand_steps, demand_trainable
from headstart.pipeline.heads import FEATURES, head_of, moves
from headstart.pipeline.ladder import BLENDED, Ladder

SHARE = 0.6  # of a budget, by when all strategies must be done where scratch comes after them
LAST = 0.25  # of the strategies' time, for training the chosen one once folds have chosen it


@dataclass
class Trial:
    """One backbone with the arms that were trained from it, the simplest first.

    `judged` holds what the choice among several compared, by strategy; the target may hold fewer
    items than the `whole` data set.
    """

    target: Target
    source: Backbone
    asked: str  # the strategy as it was named
    tried: dict[str, Outcome] = field(default_factory=dict)
    judged: Mapping[str, Arm] = field(default_factory=dict)
    whole: Dataset | None = None  # the data, where a budget had no time for all of them

    @property
    def winner(self) -> str:
        """The strategy to go on with: the one named, or of several the best.

        Where it is above frozen features by no more than the standard error, the two are blended
        instead, if that is above them as well. All that are trained hand over a network of the same
        size, so that none of them is the simpler one to have.
        """
        if not self.judged:
            return list(self.tried)[-1]
        judged = self.judged
        best = max(judged, key=lambda name: judged[name].merit)
        if evidence.simplest({name: judged[name] for name in (FEATURES, best)}) == best:
            return best
        blend = BLENDED.get(best, best if best in BLENDED.values() else FEATURES)
        return blend if judged[blend].merit > judged[FEATURES].merit else FEATURES

    @property
    def moves(self) -> Strategy:
        """The winner's strategy."""
        return moves(self.winner)


def run(
    target: Target,
    source: Backbone,
    asked: str,
    until: Budget | None = None,
    named: bool = True,
) -> Trial:
    """Extract features, fit the probe, and train by the strategy asked for, or by several.

    A strategy that was not `named` by the user gives way to its blend with frozen features where
    validation can't tell which of the two is better. All is done when the budget `until` ends, if
    one is given. Raises HeadstartError before any work for a strategy that trains where the
    backbone can't be trained, or not on single items.
    """
    demand_trainable(asked, source)
    demand_steps(asked, target, source)
    if target.objective():
        target.progress.say(target.objective())
    whole = target.dataset
    target, features = features_in_time(target, source)
    trial = Trial(target, source, asked, {FEATURES: features}, whole=whole)
    if asked == AUTO:
        share = SHARE if target.settings.scratch else 1.0
        _climb(trial, features, until or target.budget.until(share))
        return trial
    strategy, head = moves(asked), head_of(asked)
    made = features
    if head is not None:
        made = evidence.head_arm(target, source, catalog.head(head), asked, features)
    elif strategy.epochs(1) and has_time(target, source, asked):
        made = evidence.strategy_arm(target, source, strategy, asked, features, until)
    trial.tried[asked] = made
    blend = "" if named else BLENDED.get(asked, "")
    if blend and evidence.undecided(made.arm, features.arm) and has_time(target, source, blend):
        trial.tried[blend] = evidence.blended_arm(target, source, features, made, blend)
    return trial


def _climb(trial: Trial, features: Outcome, until: Budget) -> None:
    """Try the policy's strategies, and train the best of them where only folds were trained."""
    ladder = Ladder.over(trial.target, trial.source, features)
    if not ladder.folded:
        trial.judged = ladder.climb(until)
        trial.tried |= ladder.outcomes[0]
        return
    trial.judged = ladder.climb(until.until(1.0 - LAST))
    if trial.winner != FEATURES:
        given = (trial.target, trial.source, trial.moves, trial.winner, features, until.until(1.0))
        trial.tried[trial.winner] = evidence.strategy_arm(*given)
