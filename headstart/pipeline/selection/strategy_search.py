"""What strategies are worth on one backbone: one that was named, or several from cheap to dear."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from headstart import catalog, evidence
from headstart.contracts import Backbone, Strategy
from headstart.data import Dataset
from headstart.evidence import Arm, ArmResult, Experiment
from headstart.features.legality import cacheable_stages
from headstart.pipeline.affordable import features_in_time, has_time
from headstart.pipeline.demands import AUTO, demand_probe, demand_steps, demand_trainable
from headstart.pipeline.folding import Folding, by_folds
from headstart.pipeline.heads import FEATURES, head_of, moves
from headstart.pipeline.selection.ladder import BLENDED, Ladder, tried_names
from headstart.runtime.budget import Budget

SHARE = 0.6  # of a budget, by when all strategies must be done where scratch comes after them
LAST = 0.25  # of the strategies' time, for training the chosen one once folds have chosen it


@dataclass
class StrategySearch:
    """One backbone with the arms that were trained from it, the simplest first.

    `judged` holds what the choice among several compared, by strategy; the target may hold fewer
    items than the `whole` data set.
    """

    experiment: Experiment
    backbone: Backbone
    asked: str  # the strategy as it was named
    tried: dict[str, ArmResult] = field(default_factory=dict)
    judged: Mapping[str, Arm] = field(default_factory=dict)
    whole: Dataset | None = None  # the data, where a budget had no time for all of them
    folding: Folding | None = None  # where folds judge

    @property
    def seen(self) -> Experiment:
        """The target with the held-out items that evidence is of, which may be all items."""
        return self.experiment if self.folding is None else self.folding.judged

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
        best = max(judged, key=lambda name: judged[name].selection_key)
        if evidence.simplest({name: judged[name] for name in (FEATURES, best)}) == best:
            return best
        blend = BLENDED.get(best, best if best in BLENDED.values() else FEATURES)
        better = blend in judged and judged[blend].selection_key > judged[FEATURES].selection_key
        return blend if better else FEATURES

    @property
    def moves(self) -> Strategy:
        """The winner's strategy."""
        return moves(self.winner)


def run(
    experiment: Experiment,
    backbone: Backbone,
    asked: str,
    until: Budget | None = None,
    ready: Callable[[StrategySearch], None] | None = None,
    named: bool = True,
) -> StrategySearch:
    """Extract features, fit the probe, and train by the strategy asked for, or by several.

    A strategy that was not `named` by the user gives way to its blend with frozen features where
    validation can't tell which of the two is better. All is done when the budget `until` ends, if
    one is given. `ready` is called once there is a model, that of the features alone. Raises
    HeadstartError before any work for a strategy that trains where the backbone can't be trained,
    or not on single items, and for one that is a probe alone where the task has none.
    """
    demand_trainable(asked, backbone)
    demand_steps(asked, experiment, backbone)
    demand_probe(asked, experiment)
    if experiment.objective():
        experiment.progress.say(experiment.objective())
    whole = experiment.dataset
    experiment, features = features_in_time(experiment, backbone)
    if by_folds(experiment):
        asked = asked if named else BLENDED.get(asked, asked)
        trial = StrategySearch(experiment, backbone, asked, whole=whole)
        return _folded(trial, until, ready, named)
    trial = StrategySearch(experiment, backbone, asked, {FEATURES: features}, whole=whole)
    if ready is not None and experiment.task.has_probe:  # else nothing has learned anything yet
        ready(replace(trial, tried=dict(trial.tried)))
    if asked == AUTO:
        share = SHARE if experiment.settings.scratch else 1.0
        _climb(trial, features, until or experiment.budget.until(share))
        return trial
    made = trial.tried[asked] = _named(experiment, backbone, asked, features, until) or features
    blend = "" if named else BLENDED.get(asked, "")
    tied = blend and evidence.undecided(made.arm, features.arm)
    if tied and has_time(experiment, backbone, blend):
        trial.tried[blend] = evidence.blended_arm(experiment, backbone, features, made, blend)
    return trial


def attempt(
    experiment: Experiment, backbone: Backbone, asked: str, named: bool = True
) -> Callable[[Callable[[StrategySearch, None], None]], tuple[StrategySearch, None]]:
    """What runs a trial of one backbone when it is given whom to tell of the first model."""
    return lambda ready: (
        run(experiment, backbone, asked, ready=lambda trial: ready(trial, None), named=named),
        None,
    )


def _named(
    experiment: Experiment, backbone: Backbone, name: str, features: ArmResult, until: Budget | None
) -> ArmResult | None:
    """The arm of one strategy, None where it does nothing but extract features, or time is out."""
    head, strategy = head_of(name), moves(name)
    if head is not None:
        return evidence.head_arm(experiment, backbone, catalog.head(head), name, features)
    if not strategy.epochs(1) or not has_time(experiment, backbone, name):
        return None
    return evidence.strategy_arm(experiment, backbone, strategy, name, features, until)


def _folded(
    trial: StrategySearch,
    until: Budget | None,
    ready: Callable[[StrategySearch], None] | None,
    named: bool,
) -> StrategySearch:
    """Judge one or several strategies by folds, and make the best from all items.

    Folds choose between frozen features and whatever was not `named`.
    """
    names, asked = [trial.asked], trial.asked
    if asked == AUTO:
        names = _light(trial.experiment, trial.backbone)
    elif head_of(asked) is None and not moves(asked).epochs(1):
        names = []
    folding = Folding.over(trial.experiment, trains=any(moves(name).epochs(1) for name in names))
    trial = replace(trial, experiment=folding.whole, folding=folding)
    experiment, backbone = trial.experiment, trial.backbone
    experiment.progress.say(folding.said())
    folding.extract(backbone)
    features = evidence.features_arm(experiment, backbone)
    trial.tried[FEATURES] = replace(features, arm=folding.arm(FEATURES))
    if ready is not None:
        ready(replace(trial, tried=dict(trial.tried)))
    until = until or experiment.budget.until(SHARE if experiment.settings.scratch else 1.0)
    found = _judged(folding, backbone, names, until.until(1.0 - LAST))
    chosen = found and (asked == AUTO or not named)
    trial.judged = {FEATURES: folding.arm(FEATURES)} | found if chosen else {}
    best = trial.winner if chosen else asked
    made = _named(experiment, backbone, best, features, until.until(1.0)) if best in found else None
    if made is not None:
        trial.tried[best] = replace(made, arm=found[best])
    elif best != FEATURES:
        trial.tried[best] = trial.tried[FEATURES]
    return trial


def _light(experiment: Experiment, backbone: Backbone) -> list[str]:
    """The policy's strategies; without a budget only those that train on stored activations.

    Folds train each several times, which takes many minutes where that is the whole network.
    """
    names, stages = tried_names(experiment, backbone), len(backbone.stages)
    if experiment.budget.limited:
        return names
    light = [
        name
        for name in names
        if cacheable_stages(moves(name), moves(name).epochs(1), stages, augmented=False)
    ]
    if len(light) < len(names):
        others = ", ".join(name for name in names if name not in light)
        experiment.progress.say(
            f"{others}: left out, as each fold would train the whole network. Give a --budget to "
            "have them tried, or name one with -s."
        )
    return light


def _judged(
    folding: Folding, backbone: Backbone, names: Sequence[str], until: Budget
) -> dict[str, Arm]:
    """Each strategy's arm over all items, for those that there is time for."""
    for place, name in enumerate(names):

        def judge(number: int, part: Experiment, name: str = name) -> ArmResult:
            begun = folding.features[number]
            return _named(part, backbone, name, begun, part.budget.until(1.0)) or begun

        spent = until.spent()
        slot = until.until(spent + (1.0 - spent) / (len(names) - place))
        if not folding.add(name, judge, slot):
            said = "is left out, as the budget leaves no time for it."
            folding.whole.progress.say(f"{name} {said}")
    return {name: folding.arm(name) for name in names if name in folding.arms}


def _climb(trial: StrategySearch, features: ArmResult, until: Budget) -> None:
    """Try the policy's strategies, and train the best of them where only folds were trained."""
    ladder = Ladder.over(trial.experiment, trial.backbone, features)
    if not ladder.folded:
        trial.judged = ladder.climb(until)
        trial.tried |= ladder.outcomes[0]
        return
    trial.judged = ladder.climb(until.until(1.0 - LAST))
    if trial.winner != FEATURES:
        given = (
            trial.experiment,
            trial.backbone,
            trial.moves,
            trial.winner,
            features,
            until.until(1.0),
        )
        trial.tried[trial.winner] = evidence.strategy_arm(*given)
