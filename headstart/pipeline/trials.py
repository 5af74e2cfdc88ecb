"""What strategies are worth on one backbone: one that was named, or several from cheap to dear."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from headstart import catalog, evidence
from headstart.contracts import Backbone, Strategy
from headstart.data import Dataset
from headstart.evidence import Arm, Outcome, Target
from headstart.features.legality import storable
from headstart.pipeline.affordable import features_in_time, has_time
from headstart.pipeline.demands import AUTO, demand_steps, demand_trainable
from headstart.pipeline.folding import Folding, by_folds
from headstart.pipeline.heads import FEATURES, head_of, moves
from headstart.pipeline.ladder import BLENDED, Ladder, tried_names
from headstart.runtime.budget import Budget

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
    folding: Folding | None = None  # where folds judge

    @property
    def seen(self) -> Target:
        """The target with the held-out items that evidence is of, which may be all items."""
        return self.target if self.folding is None else self.folding.judged

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
        better = blend in judged and judged[blend].merit > judged[FEATURES].merit
        return blend if better else FEATURES

    @property
    def moves(self) -> Strategy:
        """The winner's strategy."""
        return moves(self.winner)


def run(
    target: Target,
    source: Backbone,
    asked: str,
    until: Budget | None = None,
    ready: Callable[[Trial], None] | None = None,
    named: bool = True,
) -> Trial:
    """Extract features, fit the probe, and train by the strategy asked for, or by several.

    A strategy that was not `named` by the user gives way to its blend with frozen features where
    validation can't tell which of the two is better. All is done when the budget `until` ends, if
    one is given. `ready` is called once there is a model, that of the features alone. Raises
    HeadstartError before any work for a strategy that trains where the backbone can't be trained,
    or not on single items.
    """
    demand_trainable(asked, source)
    demand_steps(asked, target, source)
    if target.objective():
        target.progress.say(target.objective())
    whole = target.dataset
    target, features = features_in_time(target, source)
    if by_folds(target):
        asked = asked if named else BLENDED.get(asked, asked)
        return _folded(Trial(target, source, asked, whole=whole), until, ready, named)
    trial = Trial(target, source, asked, {FEATURES: features}, whole=whole)
    if ready is not None:
        ready(replace(trial, tried=dict(trial.tried)))
    if asked == AUTO:
        share = SHARE if target.settings.scratch else 1.0
        _climb(trial, features, until or target.budget.until(share))
        return trial
    made = trial.tried[asked] = _named(target, source, asked, features, until) or features
    blend = "" if named else BLENDED.get(asked, "")
    if blend and evidence.undecided(made.arm, features.arm) and has_time(target, source, blend):
        trial.tried[blend] = evidence.blended_arm(target, source, features, made, blend)
    return trial


def attempt(
    target: Target, source: Backbone, asked: str, named: bool = True
) -> Callable[[Callable[[Trial, None], None]], tuple[Trial, None]]:
    """What runs a trial of one backbone when it is given whom to tell of the first model."""
    return lambda ready: (
        run(target, source, asked, ready=lambda trial: ready(trial, None), named=named),
        None,
    )


def _named(
    target: Target, source: Backbone, name: str, features: Outcome, until: Budget | None
) -> Outcome | None:
    """The arm of one strategy, None where it does nothing but extract features, or time is out."""
    head, strategy = head_of(name), moves(name)
    if head is not None:
        return evidence.head_arm(target, source, catalog.head(head), name, features)
    if not strategy.epochs(1) or not has_time(target, source, name):
        return None
    return evidence.strategy_arm(target, source, strategy, name, features, until)


def _folded(
    trial: Trial, until: Budget | None, ready: Callable[[Trial], None] | None, named: bool
) -> Trial:
    """Judge one or several strategies by folds, and make the best from all items.

    Folds choose between frozen features and whatever was not `named`.
    """
    names, asked = [trial.asked], trial.asked
    if asked == AUTO:
        names = _light(trial.target, trial.source)
    elif head_of(asked) is None and not moves(asked).epochs(1):
        names = []
    folding = Folding.over(trial.target, trains=any(moves(name).epochs(1) for name in names))
    trial = replace(trial, target=folding.whole, folding=folding)
    target, source = trial.target, trial.source
    target.progress.say(folding.said())
    folding.extract(source)
    features = evidence.features_arm(target, source)
    trial.tried[FEATURES] = replace(features, arm=folding.arm(FEATURES))
    if ready is not None:
        ready(replace(trial, tried=dict(trial.tried)))
    until = until or target.budget.until(SHARE if target.settings.scratch else 1.0)
    found = _judged(folding, source, names, until.until(1.0 - LAST))
    chosen = found and (asked == AUTO or not named)
    trial.judged = {FEATURES: folding.arm(FEATURES)} | found if chosen else {}
    best = trial.winner if chosen else asked
    made = _named(target, source, best, features, until.until(1.0)) if best in found else None
    if made is not None:
        trial.tried[best] = replace(made, arm=found[best])
    elif best != FEATURES:
        trial.tried[best] = trial.tried[FEATURES]
    return trial


def _light(target: Target, source: Backbone) -> list[str]:
    """The policy's strategies; without a budget only those that train on stored activations.

    Folds train each several times, which takes many minutes where that is the whole network.
    """
    names, stages = tried_names(target, source), len(source.stages)
    if target.budget.limited:
        return names
    light = [
        name
        for name in names
        if storable(moves(name), moves(name).epochs(1), stages, augmented=False)
    ]
    if len(light) < len(names):
        others = ", ".join(name for name in names if name not in light)
        target.progress.say(
            f"{others}: left out, as each fold would train the whole network. Give a --budget to "
            "have them tried, or name one with -s."
        )
    return light


def _judged(
    folding: Folding, source: Backbone, names: Sequence[str], until: Budget
) -> dict[str, Arm]:
    """Each strategy's arm over all items, for those that there is time for."""
    for place, name in enumerate(names):

        def judge(number: int, part: Target, name: str = name) -> Outcome:
            begun = folding.features[number]
            return _named(part, source, name, begun, part.budget.until(1.0)) or begun

        spent = until.spent()
        slot = until.until(spent + (1.0 - spent) / (len(names) - place))
        if not folding.add(name, judge, slot):
            said = "is left out, as the budget leaves no time for it."
            folding.whole.progress.say(f"{name} {said}")
    return {name: folding.arm(name) for name in names if name in folding.arms}


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
