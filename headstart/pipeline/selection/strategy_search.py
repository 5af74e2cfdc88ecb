"""What strategies are worth on one backbone: one that was named, or several from cheap to dear."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from headstart import catalog, evidence
from headstart.contracts import Backbone
from headstart.data import Dataset, most_folds
from headstart.defaults import Recipe
from headstart.evidence import Arm, ArmResult, Experiment
from headstart.evidence.trials import Start, Trial
from headstart.pipeline.affordable import features_in_time, has_time
from headstart.pipeline.demands import demand_head, demand_probe
from headstart.pipeline.folding import Folding, by_folds
from headstart.pipeline.likeness import likeness, warning
from headstart.pipeline.prepare import Transfer, random_init, scratch_recipe
from headstart.pipeline.selection.ladder import (
    BLENDED,
    TIMELESS,
    Ladder,
    is_light,
    policy_strategies,
    store_ahead,
)
from headstart.pipeline.selection.rungs import climb_until_enough, rehearsed
from headstart.pipeline.strategy_spec import FEATURES, StrategySpec, learns_from_sources
from headstart.results.ranking import Ranking
from headstart.runtime.budget import Budget

SHARE = 0.6  # of a budget, by when all strategies must be done where scratch comes after them
LAST = 0.25  # of the strategies' time, for training the chosen one once folds have chosen it


@dataclass
class StrategySearch:
    """One backbone with the arms that were trained from it by name, the simplest first.

    `compared` holds what the choice among several saw of each; the experiment may hold fewer items
    than the `whole` data set. `ranking` is what the backbone was chosen by, if among several.
    """

    experiment: Experiment
    backbone: Backbone
    strategy: StrategySpec  # as the user or the policy named it
    arms: dict[str, ArmResult] = field(default_factory=dict)
    compared: Mapping[str, Arm] = field(default_factory=dict)
    whole: Dataset | None = None  # the data, where a budget had no time for all of them
    folding: Folding | None = None  # where folds judge
    ranking: Ranking | None = None

    @property
    def held_out_experiment(self) -> Experiment:
        """The experiment with the held-out items that evidence is of, which may be all items."""
        return self.experiment if self.folding is None else self.folding.held_out_experiment

    @property
    def winner(self) -> str:
        """The name of the arm to go on with: the strategy's, or of several the best.

        Where that is above frozen features by no more than the standard error, the two are blended
        instead, if that is above them as well. All that are trained hand over a network of the same
        size, so that none of them is the simpler one to have.
        """
        arms = self.compared
        if not arms:
            return list(self.arms)[-1]
        best = max(arms, key=lambda name: arms[name].selection_key)
        if FEATURES not in arms or learns_from_sources(best):  # rows alone are no simpler
            return best
        if evidence.simplest({name: arms[name] for name in (FEATURES, best)}) == best:
            return best
        blend = BLENDED.get(best, best if best in BLENDED.values() else FEATURES)
        better = blend in arms and arms[blend].selection_key > arms[FEATURES].selection_key
        return blend if better else FEATURES

    @property
    def spread(self) -> float:
        """What the variance of scores of held-out items is multiplied by where folds judge."""
        return self.folding.folds.spread(1) if self.folding else 1.0

    def likeness(self) -> dict[str, Any]:
        """How alike the backbone's source and the target are, by frozen features."""
        features, folding = self.arms[FEATURES], self.folding
        naive = folding.naive() if folding else evidence.naive_arm(self.experiment, features).arm
        split = "test" if folding else "validation"
        judge = evidence.Assessor.of(self.held_out_experiment, split, self.spread)
        gain = judge.gain(features.arm.outputs[split], naive.outputs[split])
        return likeness(self.experiment, self.backbone, gain)

    def over_folds(self) -> dict[str, Arm]:
        """The arms of frozen features and of other heads over all items; none without folds."""
        if self.folding is None:
            return {}
        others = ("naive", "baseline", "scratch")
        return {n: self.folding.arm(n) for n in self.folding.arms if n not in others}

    @property
    def chosen(self) -> StrategySpec:
        """The winner's strategy."""
        return StrategySpec.of(self.winner)

    def scratch_recipe(self, experiment: Experiment | None = None) -> Recipe:
        """What a network from scratch is trained by for twice as long, on these or other items."""
        return scratch_recipe(experiment or self.experiment, self.chosen.build(), self.backbone)

    def scratch_like(self, other: Recipe, experiment: Experiment) -> ArmResult:
        """A network from scratch, at the rate and for the epochs of another, on other items."""
        recipe, rebuild = self.scratch_recipe(experiment), random_init(self.backbone)
        return evidence.scratch_at(experiment, rebuild, recipe, other.learning_rate, other.epochs)


Ready = Callable[[StrategySearch], None]


def run(
    transfer: Transfer, ready: Ready = lambda search: None, until: Budget | None = None
) -> StrategySearch:
    """Extract features, fit the probe, and train by the strategy, or by several of the policy's.

    A strategy that the user did not name gives way to its blend with frozen features where
    validation can't tell which of the two is better. All is done when the budget `until` ends, if
    one is given. `ready` is called once there is a model, that of the features alone. Raises
    HeadstartError for a strategy that is a probe alone where the task has none.
    """
    spec, backbone, whole = transfer.strategy, transfer.backbone, transfer.experiment.dataset
    demand_probe(spec, transfer.experiment)
    demand_head(spec, transfer.experiment, backbone)
    objective = transfer.experiment.objective()
    if objective:
        transfer.experiment.progress.say(objective)
    experiment, features = features_in_time(transfer.experiment, backbone)
    search = StrategySearch(experiment, backbone, spec, whole=whole, ranking=transfer.ranking)
    if by_folds(experiment) or (backbone.related and most_folds(experiment.dataset) > 1):
        return _folded(search, until, ready)
    search.arms[FEATURES] = features
    if experiment.task.has_probe:  # else nothing has learned anything yet
        ready(search)
        _warn(search)
    if spec.auto and experiment.task.ladder:
        climb_until_enough(search, features, until or _usual(experiment))
        return search
    if spec.auto:
        _climb(search, features, until or _usual(experiment))
        return search
    rehearsed(experiment, backbone, spec, last=True)
    name = str(spec)
    tuned = search.arms[name] = _arm(spec, experiment, backbone, features, until) or features
    blend = "" if spec.explicit else BLENDED.get(name, "")
    tied = blend and evidence.undecided(tuned.arm, features.arm)
    if tied and has_time(experiment, backbone, blend):
        search.arms[blend] = evidence.blended_arm(experiment, backbone, features, tuned, blend)
    return search


def _warn(search: StrategySearch) -> None:
    """Say so before any weight moves where the source is too unlike the target."""
    if search.strategy.trains and search.experiment.task.has_probe:
        sentence = warning(search.likeness(), search.backbone)
        if sentence:
            search.experiment.progress.warn(sentence)


def _usual(experiment: Experiment) -> Budget:
    """The part of a budget that several strategies take."""
    return experiment.budget.until(SHARE if experiment.settings.scratch else 1.0)


def _arm(
    spec: StrategySpec,
    experiment: Experiment,
    backbone: Backbone,
    features: ArmResult,
    until: Budget | None,
) -> ArmResult | None:
    """The arm of one strategy, None where it does nothing but extract features, or time is out."""
    name = str(spec)
    if spec.head is not None:
        return evidence.head_arm(experiment, backbone, catalog.head(spec.head), name, features)
    if not spec.trains or not has_time(experiment, backbone, name):
        return None
    return evidence.strategy_arm(experiment, backbone, spec.build(), name, features, until)


def _folded(search: StrategySearch, until: Budget | None, ready: Ready) -> StrategySearch:
    """Judge one or several strategies by folds, and make the best from all items.

    Folds choose between frozen features and whatever the user did not name.
    """
    spec, backbone = search.strategy, search.backbone
    if not spec.explicit and str(spec) in BLENDED:
        spec = replace(StrategySpec.of(BLENDED[str(spec)]), explicit=False)
    specs = [spec] if spec.trains or spec.head else []
    if spec.auto:
        specs = _light(search.experiment, backbone)
    folding = Folding.over(search.experiment, trains=any(each.trains for each in specs))
    experiment = folding.whole
    search = replace(search, experiment=experiment, strategy=spec, folding=folding)
    experiment.progress.say(folding.describe())
    folding.extract(backbone)
    features = evidence.features_arm(experiment, backbone)
    search.arms[FEATURES] = replace(features, arm=folding.arm(FEATURES))
    ready(search)
    _warn(search)
    until = until or _usual(experiment)
    arms = _over_folds(folding, backbone, specs, until.until(1.0 - LAST))
    if arms and (spec.auto or not spec.explicit):
        search.compared = {FEATURES: folding.arm(FEATURES)} | arms
    best = search.winner if search.compared or spec.auto else str(spec)
    if best in arms:
        winner_spec = next(each for each in specs if str(each) == best)
        result = _arm(winner_spec, experiment, backbone, features, until.until(1.0))
        if result is not None:
            search.arms[best] = replace(result, arm=arms[best])
            return search
    search.arms.setdefault(best, search.arms[FEATURES])
    return search


def _light(experiment: Experiment, backbone: Backbone) -> list[StrategySpec]:
    """The policy's strategies; without a budget only those that train on stored activations.

    Folds train each several times, which takes many minutes where that is the whole network.
    """
    specs = policy_strategies(experiment, backbone)
    if experiment.budget.limited:
        return specs

    others = ", ".join(str(spec) for spec in specs if not is_light(spec, backbone))
    if others:
        experiment.progress.say(
            f"{others}: left out, as each fold would train the whole network. Give a --budget to "
            "have them tried, or name one with -s."
        )
    return [spec for spec in specs if is_light(spec, backbone)]


def _over_folds(
    folding: Folding, backbone: Backbone, specs: Sequence[StrategySpec], until: Budget
) -> dict[str, Arm]:
    """Each strategy's arm over all items, for those that there is time for."""
    for place, spec in enumerate(specs):
        store_ahead(folding.whole, backbone, spec)
        judge, own = partial(_judged, spec), until.part(len(specs) - place)
        repeats = folding.folds.repeats if folding.parts and _is_quick(spec, backbone) else 1
        if not folding.add(str(spec), judge, backbone, own, repeats):
            folding.whole.progress.say(f"{spec} {TIMELESS}")
    names = [str(spec) for spec in specs]
    return {name: folding.arm(name) for name in names if name in folding.arms}


def _judged(spec: StrategySpec, start: Start, trial: Trial) -> Arm:
    """A strategy's arm on one fold, or that of its features where it does nothing else."""
    experiment, until = start.experiment, trial.until.until(1.0)
    return (_arm(spec, experiment, start.backbone, start.probe, until) or start.probe).arm


def _is_quick(spec: StrategySpec, backbone: Backbone) -> bool:
    """Whether a head is fitted at once, so that items can be shared out anew several times."""
    return bool(backbone.related and spec.head and catalog.head(spec.head).cross_validates)


def _climb(search: StrategySearch, features: ArmResult, until: Budget) -> None:
    """Try the policy's strategies, and train the best of them where only folds were trained."""
    experiment, backbone = search.experiment, search.backbone
    ladder = Ladder.over(experiment, backbone, features)
    search.compared = ladder.climb(until.until(1.0 - LAST) if ladder.folded else until)
    if not ladder.folded:
        search.arms |= ladder.results
    elif search.winner != FEATURES:
        end = until.until(1.0)
        search.arms[search.winner] = (
            _arm(search.chosen, experiment, backbone, features, end) or features
        )
