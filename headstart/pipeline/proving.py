"""What a trial's model was worth: the arms it must beat, the choice among them, the end of a run.

Each step takes the arms that there are, by name, and answers with them and its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from headstart import artifact, defaults, evidence
from headstart.artifact import Record
from headstart.defaults import Recipe
from headstart.evidence import Arm, ArmResult, Experiment
from headstart.evidence.doubt import UNENDED
from headstart.pipeline.affordable import has_time
from headstart.pipeline.demands import AUTO
from headstart.pipeline.findings import FIRST
from headstart.pipeline.finish import SIMPLE, Choice, Stage, finish
from headstart.pipeline.folding import Folding
from headstart.pipeline.heads import FEATURES, moves
from headstart.pipeline.prepare import IMPORTED, random_init, scratch_recipe
from headstart.pipeline.selection.strategy_search import StrategySearch
from headstart.results import Result
from headstart.results.ranking import Ranking
from headstart.runtime.workspace import Workspace
from headstart.tracking import Followed

Arms = dict[str, ArmResult]
Begin = Callable[[StrategySearch, Ranking | None], None]
Attempt = Callable[[Begin], tuple[StrategySearch, Ranking | None]]
AFFORDED = 6  # times a fresh process's start must be left in a budget for a check before the last
UNTRAINED = "No network was trained from scratch."


def proved(attempt: Attempt, workspace: Workspace, run: Followed) -> Result:
    """Compare a trial with what it must beat, and save the best on validation.

    `attempt` makes the trial; it calls what it is given once there is a model, which is handed over
    then, and replaced by a better one as soon as there is one. An interrupt from then on ends the
    proof with the evidence that there is.
    """
    standing = Standing(workspace, run)
    try:
        trial, ranking = attempt(standing.begin)
        standing.advance(trial, ranking)
        standing.arms, standing.protocol = with_scratch(trial, standing.arms)
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
    trial: StrategySearch | None = None
    ranking: Ranking | None = None
    arms: Arms = field(default_factory=dict)
    protocol: str = UNTRAINED
    there: Record | None = None
    wrote: bool = False

    def begin(self, trial: StrategySearch, ranking: Ranking | None = None) -> None:
        """Take the first trial that has a model."""
        if self.workspace.handed_over:
            self.there = artifact.read(self.workspace.out)
            return
        more = trial.asked == AUTO or bool(moves(trial.asked).epochs(1))
        self.advance(trial, ranking, "Better ones are looked for" if more else "")

    def advance(self, trial: StrategySearch, ranking: Ranking | None, going_on: str = "") -> None:
        """Take a trial with more arms, and hand over the best of them if it is another.

        A budget that has hardly time for the last check has none for one before.
        """
        before = self.there.strategy if self.there else ""
        self.trial, self.ranking, self.arms = trial, ranking, rivals(trial)
        experiment, (_, best) = trial.experiment, choice(trial, self.arms)
        if experiment.budget.left() < AFFORDED * IMPORTED or best.strategy == before:
            return
        self._write(Stage(False, self._doubt(trial), FIRST, self.there))
        folds = trial.folding.folds if trial.folding else None
        shown = evidence.interval(best, experiment.settings.seed, folds)
        experiment.progress.say(
            f"{self.workspace.out} holds a model that can be used: {best.strategy}, "
            f"{shown.value:.3f} {experiment.task.metric} ({shown.low:.3f} – {shown.high:.3f})."
            f" {going_on or self._next(trial)}; Ctrl-C keeps the model."
        )

    def end(self) -> Result:
        """The last word: all findings, and the best on validation in place."""
        return self._told(self._write(Stage(there=self.there)))

    def stop(self) -> Result:
        """The evidence that there is, after an interrupt."""
        if self.trial is None:
            raise ValueError("there is no trial")
        self.run.progress.say("Stopped. Writing down what is known so far.")
        stage = Stage(False, self._doubt(self.trial), "quick", self.there)
        return self._told(self._write(stage))

    def _write(self, stage: Stage) -> Result:
        trial = self.trial
        if trial is None:
            raise ValueError("there is no trial")
        baseline = baseline_of(trial) if stage.ended else None
        kept, arm = choice(trial, self.arms)
        if kept == "scratch" and trial.folding is not None:
            self.arms[kept] = scratch_of_all(trial, self.arms[kept])
        chosen = Choice(kept, self.protocol, baseline, self.ranking, arm)
        result, self.there = finish(trial, self.workspace, self.arms, chosen, stage)
        self.wrote = True
        return result

    def _told(self, result: Result) -> Result:
        self.run.result(result.to_json)
        return result

    def _doubt(self, trial: StrategySearch) -> str:
        return UNENDED if wants_scratch(trial) and "scratch" not in self.arms else ""

    def _next(self, trial: StrategySearch) -> str:
        if wants_scratch(trial):
            return "Its worth is being measured against the same network from scratch"
        return "Its evidence is being gathered"


def rivals(trial: StrategySearch) -> Arms:
    """All arms but scratch: `naive`, `features`, what else was tried by name, and `asked`.

    The last is the trial's winner, which is the features' arm where nothing was trained.
    """
    features, asked = trial.tried[FEATURES], trial.tried[trial.winner]
    naive = evidence.naive_arm(trial.experiment, features)
    if trial.folding is not None:
        naive = replace(naive, arm=trial.folding.naive())
    arms = {"naive": naive}
    if trial.experiment.task.has_probe:
        arms["features"] = features
    others = trial.tried.items()
    arms |= {name: made for name, made in others if made is not features and made is not asked}
    return arms | {"asked": asked}


def baseline_of(trial: StrategySearch) -> Arm | None:
    """What a user would have without a network, judged as the others are; None without time."""
    if trial.folding is not None:
        return trial.folding.baseline()
    return None if trial.experiment.budget.over() else evidence.baseline_arm(trial.experiment)


def with_scratch(trial: StrategySearch, arms: Mapping[str, ArmResult]) -> tuple[Arms, str]:
    """The arms with `scratch`, where one is wanted and the budget has time for it.

    Answers with a sentence on how it was trained, or why it wasn't, too.
    """
    experiment, backbone, name = trial.experiment, trial.backbone, "Training from scratch"
    if not wants_scratch(trial):
        return dict(arms), UNTRAINED
    timeless = f"{UNTRAINED[:-1]}, as the budget left no time for it."
    trainings = 2 if trial.folding is None else 2 * trial.folding.folds.count
    if not has_time(experiment, backbone, name, trainings):  # a search, and what it found
        return dict(arms), timeless
    recipe = scratch_recipe(experiment, trial.moves, backbone)
    rates = defaults.scratch_rates(backbone.delicate)
    if trial.folding is None:
        transfer = arms["asked"].arm
        scratch, protocol = evidence.scratch_arm(
            experiment, random_init(backbone), recipe, rates, transfer
        )
    else:
        found = _scratch_in_folds(trial, trial.folding, recipe, rates)
        if found is None:
            return dict(arms), timeless
        scratch, protocol = found
    first, last = {n: arms[n] for n in arms if n != "asked"}, {"asked": arms["asked"]}
    return first | {"scratch": scratch} | last, protocol


def _scratch_in_folds(
    trial: StrategySearch, folding: Folding, recipe: Recipe, rates: Sequence[float]
) -> tuple[ArmResult, str] | None:
    """A network from scratch in each fold, and what was done; None where time was out.

    The rate that the first fold finds serves all, which can only favour scratch: the others' items
    had a part in it. Together they take the time of one. The model is the last fold's, until one is
    trained on all items to be handed over.
    """
    backbone = trial.backbone
    name = trial.winner if trial.winner in folding.arms else FEATURES  # as time was out for it
    made: list[ArmResult] = []
    said: list[str] = []

    def judge(number: int, part: Experiment) -> ArmResult:
        own = replace(
            recipe, batch_size=part.settings.batch_size or defaults.batch_size(_learned(part))
        )
        if made and made[0].recipe is not None:
            first = made[0].recipe
            made.append(
                evidence.scratch_at(
                    part, random_init(backbone), own, first.learning_rate, first.epochs
                )
            )
            return made[-1]
        transfer, share = folding.arms[name][number], 1 / folding.folds.count
        outcome, protocol = evidence.scratch_arm(
            part, random_init(backbone), own, rates, transfer, share
        )
        made.append(outcome)
        said.append(protocol)
        return outcome

    settings = trial.experiment.settings
    left = trial.experiment.budget.until(1.0 - evidence.FINDINGS_SHARE[settings.evidence])
    if not folding.add("scratch", judge, left):
        return None
    return replace(made[-1], arm=folding.arm("scratch")), f"In the first fold: {said[0]}"


def scratch_of_all(trial: StrategySearch, judged: ArmResult) -> ArmResult:
    """The network from scratch that is handed over where it is best in folds: of all items."""
    experiment, backbone, recipe = trial.experiment, trial.backbone, judged.recipe
    if recipe is None:
        raise ValueError("no rate was searched for")
    usual = scratch_recipe(experiment, trial.moves, backbone)
    made = evidence.scratch_at(experiment, random_init(backbone), usual, recipe.learning_rate)
    return replace(made, arm=judged.arm)


def _learned(experiment: Experiment) -> int:
    return len(experiment.dataset.split("train"))


def wants_scratch(trial: StrategySearch) -> bool:
    """Whether a network from scratch is asked for and can be trained."""
    return trial.experiment.settings.scratch and trial.backbone.differentiable


def choice(trial: StrategySearch, arms: Mapping[str, ArmResult]) -> tuple[str, Arm]:
    """The name of the arm to hand over, by validation or by folds, and what choosing so is worth.

    An arm that was judged by folds is chosen anew without each of them.
    """
    names = [name for name in (*SIMPLE, "asked") if name in arms]
    if trial.experiment.task_settings.get(
        "balanced"
    ):  # one answer to all is never better than chance
        names.remove("naive")
    simple = {name: arms[name].arm for name in names}
    if trial.folding is None:
        kept = evidence.choose(simple)
        return kept, arms[kept].arm
    judged = trial.judged or {trial.winner: arms["asked"].arm}
    among = {name: simple[name] for name in names if name != "asked"} | dict(judged)

    def pick(given: Mapping[str, Arm]) -> str:
        best = max(judged, key=lambda name: given[name].selection_key)
        asked = evidence.simplest({name: given[name] for name in ("features", best)})
        rest = {name: given[name] for name in names if name not in ("asked", asked)}
        return evidence.choose(rest | {asked: given[asked]})

    kept, arm = trial.folding.chosen(among, pick)
    return (kept if kept in arms else "asked"), arm
