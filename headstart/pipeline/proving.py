"""What a transfer was worth: the arms it must beat, the choice among them, the end of a run.

Arms go by one name from start to end: `naive`, `feature-extraction`, `scratch`, and each strategy
as it is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from headstart import artifact, defaults, evidence
from headstart.artifact import Record
from headstart.data.targets import kind_named
from headstart.defaults import Recipe
from headstart.evidence import Arm, ArmResult, Experiment
from headstart.evidence.doubt import UNENDED
from headstart.evidence.trials import Start, Trial
from headstart.pipeline.affordable import has_time
from headstart.pipeline.findings import FIRST, Proof
from headstart.pipeline.finish import SIMPLE, Stage, finish
from headstart.pipeline.folding import Folding
from headstart.pipeline.prepare import IMPORTED, Transfer, random_init
from headstart.pipeline.selection import strategy_search
from headstart.pipeline.selection.strategy_search import StrategySearch
from headstart.pipeline.sources.alone import (
    ALONE,
    COLUMNS_ALONE,
    columns_alone,
    rows_alone,
)
from headstart.pipeline.strategy_spec import FEATURES, learns_from_sources
from headstart.results import Result
from headstart.runtime.workspace import Workspace
from headstart.tracking import Followed

Arms = dict[str, ArmResult]
AFFORDED = 6  # times a fresh process's start must be left in a budget for a check before the last
UNTRAINED = "No network was trained from scratch."


def proved(transfer: Transfer, workspace: Workspace, run: Followed) -> Result:
    """Transfer a backbone, compare with what that must beat, and save the best on validation.

    A model is handed over once there is one, and replaced by a better one as soon as there is one.
    An interrupt from then on ends the proof with the evidence that there is.
    """
    standing = Standing(workspace, run)
    try:
        search = strategy_search.run(transfer, standing.begin)
        standing.advance(search)
        standing.arms, standing.protocol = with_scratch(search, standing.arms)
        return standing.end()
    except KeyboardInterrupt:
        if not standing.wrote:
            raise
        return standing.stop()
    except Exception:
        if standing.wrote:
            out = workspace.out
            run.progress.warn(f"{out} holds a model all the same; `headstart prove` proves it.")
        raise


@dataclass
class Standing:
    """What a run has come to so far, and the record of the model that OUT holds of it.

    A run that goes on finds what it handed over before it was killed; `wrote` is whether it has
    put anything there since.
    """

    workspace: Workspace
    run: Followed
    search: StrategySearch | None = None
    arms: Arms = field(default_factory=dict)
    protocol: str = UNTRAINED
    there: Record | None = None
    wrote: bool = False

    def begin(self, search: StrategySearch) -> None:
        """Take the first search that has a model, as it is now."""
        if self.workspace.handed_over:
            self.there = artifact.read(self.workspace.out)
            return
        search = replace(search, arms=dict(search.arms))
        self.advance(search, "Better ones are looked for" if search.strategy.trains else "")

    def advance(self, search: StrategySearch, going_on: str = "") -> None:
        """Take a search with more arms, and hand over the best of them if it is another.

        A budget that has hardly time for the last check has none for one before.
        """
        before = self.there.strategy if self.there else ""
        self.search, self.arms = search, rivals(search)
        experiment, (_, best) = search.experiment, choice(search, self.arms)
        if experiment.budget.left() < AFFORDED * IMPORTED or best.strategy == before:
            return
        self._write(Stage(False, self._doubt(search), FIRST, self.there))
        folds = search.folding.folds if search.folding else None
        sign = experiment.task.sign
        score = evidence.interval(best, experiment.settings.seed, folds, sign=sign)
        experiment.progress.say(
            f"{self.workspace.out} holds a model that can be used: {best.strategy}, "
            f"{score.value:.3f} {experiment.task.metric} ({score.low:.3f} – {score.high:.3f})."
            f" {going_on or self._next(search)}; Ctrl-C keeps the model."
        )

    def end(self) -> Result:
        """The last word: all findings, and the best on validation in place."""
        return self._last(Stage(there=self.there))

    def stop(self) -> Result:
        """The evidence that there is, after an interrupt."""
        self.run.progress.say("Stopped. Writing down what is known so far.")
        return self._last(Stage(False, self._doubt(self._current), "quick", self.there))

    @property
    def _current(self) -> StrategySearch:
        if self.search is None:
            raise ValueError("nothing was searched")
        return self.search

    def _write(self, stage: Stage) -> Result:
        search = self._current
        baseline = baseline_of(search) if stage.ended else None
        winner, arm = choice(search, self.arms)
        if winner == "scratch" and search.folding is not None:
            self.arms[winner] = scratch_of_all(search, self.arms[winner])
        proof = Proof(search, self.arms, winner, arm, self.protocol, baseline)
        result, self.there = finish(proof, self.workspace, stage)
        self.wrote = True
        return result

    def _last(self, stage: Stage) -> Result:
        result = self._write(stage)
        self.run.result(result.to_json)
        return result

    def _doubt(self, search: StrategySearch) -> str:
        return UNENDED if wants_scratch(search) and "scratch" not in self.arms else ""

    def _next(self, search: StrategySearch) -> str:
        if wants_scratch(search):
            return "Its worth is being measured against the same network from scratch"
        return "Its evidence is being gathered"


def rivals(search: StrategySearch) -> Arms:
    """All arms but scratch: `naive`, the frozen features', and what else was tried.

    Where the task has no probe, frozen features are no rival.
    """
    features = search.arms[FEATURES]
    naive = evidence.naive_arm(search.experiment, features)
    if search.folding is not None:
        naive = replace(naive, arm=search.folding.naive())
    arms = {"naive": naive, FEATURES: features} | search.arms
    task = search.experiment.task
    if not task.has_probe and search.winner != FEATURES:
        del arms[FEATURES]
        if task.untrained:
            untrained = replace(features, arm=replace(features.arm, strategy=task.untrained))
            arms = {"naive": naive, task.untrained: untrained} | arms
    return arms


def baseline_of(search: StrategySearch) -> Arm | None:
    """What a user would have without a network, judged as the others are; None without time."""
    if search.folding is not None:
        return search.folding.baseline()
    return None if search.experiment.budget.over() else evidence.baseline_arm(search.experiment)


def with_scratch(search: StrategySearch, arms: Arms) -> tuple[Arms, str]:
    """The arms with `scratch`, where one is wanted and the budget has time for it.

    Answers with a sentence on how it was trained, or why it wasn't, too.
    """
    experiment, backbone, folding = search.experiment, search.backbone, search.folding
    if backbone.related and folding is not None:
        return arms | {"scratch": rows_alone(search)}, ALONE
    if backbone.parts:
        alone = columns_alone(search)
        return (arms, "") if alone is None else (arms | {"scratch": alone}, COLUMNS_ALONE)
    if not wants_scratch(search):
        return arms, "" if backbone.heads else UNTRAINED
    timeless = f"{UNTRAINED[:-1]}, as the budget left no time for it."
    trainings = 2 if folding is None else 2 * folding.folds.count  # a search, and what it gave
    if not has_time(experiment, backbone, "Training from scratch", trainings):
        return arms, timeless
    experiment = evidence.bounded(experiment, arms[search.winner].arm)
    recipe, rates = search.scratch_recipe(), defaults.scratch_rates(backbone.delicate)
    if folding is None:
        transfer = arms[search.winner].arm
        scratch, protocol = evidence.scratch_arm(
            experiment, random_init(backbone), recipe, rates, transfer
        )
    else:
        outcome = _scratch_in_folds(search, folding, recipe, rates)
        if outcome is None:
            return arms, timeless
        scratch, protocol = outcome
    return arms | {"scratch": scratch}, protocol


def _scratch_in_folds(
    search: StrategySearch, folding: Folding, recipe: Recipe, rates: Sequence[float]
) -> tuple[ArmResult, str] | None:
    """A network from scratch in each fold, and what was done; None where time was out.

    The rate that the first fold finds serves all, which can only favour scratch: the others' items
    had a part in it. Together they take the time of one. The model is the last fold's, until one is
    trained on all items to be handed over.
    """
    name = search.winner if search.winner in folding.arms else FEATURES  # as time was out for it
    settings, count, backbone = search.experiment.settings, folding.folds.count, search.backbone
    until = search.experiment.budget.until(1.0 - evidence.FINDINGS_SHARE[settings.evidence])
    if until.over():
        return None
    part = replace(folding.parts[0], budget=until.part(count))
    own, transfer = _sized(recipe, part), folding.arms[name][0]
    result, protocol = evidence.scratch_arm(
        part, random_init(backbone), own, rates, transfer, 1 / count
    )
    again = partial(_as_first, recipe, result.recipe or own)
    others = folding.judged("scratch", again, backbone, range(1, count), until)
    if others is None:
        return None
    results = [result, *others]
    folding.arms["scratch"] = [each.arm for each in results]
    return replace(results[-1], arm=folding.arm("scratch")), f"In the first fold: {protocol}"


def _as_first(recipe: Recipe, first: Recipe, start: Start, _: Trial) -> ArmResult:
    """Another fold's, at the rate and for the epochs of the first."""
    own, rebuild = _sized(recipe, start.experiment), random_init(start.backbone)
    return evidence.scratch_at(start.experiment, rebuild, own, first.learning_rate, first.epochs)


def _sized(recipe: Recipe, experiment: Experiment) -> Recipe:
    count = len(experiment.dataset.split("train"))
    size = experiment.settings.batch_size or defaults.batch_size(count)
    return replace(recipe, batch_size=size)


def scratch_of_all(search: StrategySearch, folded: ArmResult) -> ArmResult:
    """The network from scratch that is handed over where it is best in folds: of all items."""
    if folded.recipe is None:
        raise ValueError("no rate was searched for")
    rebuild, rate = random_init(search.backbone), folded.recipe.learning_rate
    result = evidence.scratch_at(search.experiment, rebuild, search.scratch_recipe(), rate)
    return replace(result, arm=folded.arm)


def wants_scratch(search: StrategySearch) -> bool:
    """Whether a network from scratch is asked for and can be trained."""
    return search.experiment.settings.scratch and search.backbone.differentiable


def choice(search: StrategySearch, arms: Mapping[str, ArmResult]) -> tuple[str, Arm]:
    """The name of the arm to hand over, by validation or by folds, and what choosing so is worth.

    An arm that was judged by folds is chosen anew without each of them.
    """
    simple = {name: arms[name].arm for name in SIMPLE if name in arms}
    experiment = search.experiment
    own = experiment.task.reads_maps or not kind_named(experiment.task.kind).constant
    if own or experiment.task_settings.get("balanced"):
        del simple["naive"]  # one answer to all is never better than chance, or no network's
    winner, folding = search.winner, search.folding

    def with_last(others: Mapping[str, Arm], last: str, arm: Arm) -> dict[str, Arm]:
        return {name: others[name] for name in others if name != last} | {last: arm}

    if folding is None:
        pick_of_all = evidence.choose(with_last(simple, winner, arms[winner].arm))
        return pick_of_all, arms[pick_of_all].arm
    compared = search.compared or {winner: arms[winner].arm}

    def pick(candidates: Mapping[str, Arm]) -> str:
        best = max(compared, key=lambda name: candidates[name].selection_key)
        last = best
        if not learns_from_sources(best):  # which rows alone are no simpler than
            last = evidence.simplest({name: candidates[name] for name in (FEATURES, best)})
        return evidence.choose(
            with_last({name: candidates[name] for name in simple}, last, candidates[last])
        )

    pick_of_all, arm = folding.chosen(simple | dict(compared), pick)
    return (pick_of_all if pick_of_all in arms else winner), arm
