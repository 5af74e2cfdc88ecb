"""What a trial's model was worth: the arms it must beat, the choice among them, the end of a run.

Each step takes the arms that there are, by name, and answers with them and its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from headstart import artifact, defaults, evidence
from headstart.artifact import Record
from headstart.evidence import Outcome, Target
from headstart.evidence.doubt import UNENDED
from headstart.pipeline.affordable import has_time
from headstart.pipeline.demands import AUTO
from headstart.pipeline.findings import FIRST
from headstart.pipeline.finish import SIMPLE, Choice, Stage, finish
from headstart.pipeline.heads import FEATURES, moves
from headstart.pipeline.prepare import IMPORTED, rebuild, reference
from headstart.pipeline.trials import Trial
from headstart.results import Result
from headstart.results.ranking import Ranking
from headstart.tracking import Followed
from headstart.workspace import Workspace

Arms = dict[str, Outcome]
Begin = Callable[[Trial, Ranking | None], None]
Attempt = Callable[[Begin], tuple[Trial, Ranking | None]]
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
    trial: Trial | None = None
    ranking: Ranking | None = None
    arms: Arms = field(default_factory=dict)
    protocol: str = UNTRAINED
    there: Record | None = None
    wrote: bool = False

    def begin(self, trial: Trial, ranking: Ranking | None = None) -> None:
        """Take the first trial that has a model."""
        if self.workspace.handed_over:
            self.there = artifact.read(self.workspace.out)
            return
        more = trial.asked == AUTO or bool(moves(trial.asked).epochs(1))
        self.advance(trial, ranking, "Better ones are looked for" if more else "")

    def advance(self, trial: Trial, ranking: Ranking | None, going_on: str = "") -> None:
        """Take a trial with more arms, and hand over the best of them if it is another.

        A budget that has hardly time for the last check has none for one before.
        """
        before = self.there.strategy if self.there else ""
        self.trial, self.ranking, self.arms = trial, ranking, rivals(trial)
        target, best = trial.target, self.arms[choice(trial.target, self.arms)].arm
        if target.budget.left() < AFFORDED * IMPORTED or best.strategy == before:
            return
        self._write(Stage(False, self._doubt(trial), FIRST, self.there))
        shown = best.to_json(target.settings.seed)
        target.progress.say(
            f"{self.workspace.out} holds a model that can be used: {best.strategy}, "
            f"{shown['value']:.3f} {target.task.metric} ({shown['low']:.3f} – {shown['high']:.3f})."
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
        over = not stage.ended or trial.target.budget.over()
        words = None if over else evidence.words_arm(trial.target)
        kept = choice(trial.target, self.arms)
        chosen = Choice(kept, self.protocol, words, self.ranking)
        result, self.there = finish(trial, self.workspace, self.arms, chosen, stage)
        self.wrote = True
        return result

    def _told(self, result: Result) -> Result:
        self.run.result(result.to_json)
        return result

    def _doubt(self, trial: Trial) -> str:
        return UNENDED if wants_scratch(trial) and "scratch" not in self.arms else ""

    def _next(self, trial: Trial) -> str:
        if wants_scratch(trial):
            return "Its worth is being measured against the same network from scratch"
        return "Its evidence is being gathered"


def rivals(trial: Trial) -> Arms:
    """All arms but scratch: `naive`, `features`, what else was tried by name, and `asked`.

    The last is the trial's winner, which is the features' arm where nothing was trained.
    """
    features, asked = trial.tried[FEATURES], trial.tried[trial.winner]
    arms = {"naive": evidence.naive_arm(trial.target, features), "features": features}
    arms |= {name: made for name, made in trial.tried.items() if made not in (features, asked)}
    return arms | {"asked": asked}


def with_scratch(trial: Trial, arms: Mapping[str, Outcome]) -> tuple[Arms, str]:
    """The arms with `scratch`, where one is wanted and the budget has time for it.

    Answers with a sentence on how it was trained, or why it wasn't, too.
    """
    target, source, name = trial.target, trial.source, "Training from scratch"
    if not wants_scratch(trial):
        return dict(arms), UNTRAINED
    if not has_time(target, source, name, trainings=2):  # a search, and what it found
        return dict(arms), f"{UNTRAINED[:-1]}, as the budget left no time for it."
    recipe = reference(target, trial.moves, source)
    rates = defaults.scratch_rates(source.delicate)
    transfer = arms["asked"].arm
    scratch, protocol = evidence.scratch_arm(target, rebuild(source), recipe, rates, transfer)
    first, last = {n: arms[n] for n in arms if n != "asked"}, {"asked": arms["asked"]}
    return first | {"scratch": scratch} | last, protocol


def wants_scratch(trial: Trial) -> bool:
    """Whether a network from scratch is asked for and can be trained."""
    return trial.target.settings.scratch and trial.source.differentiable


def choice(target: Target, arms: Mapping[str, Outcome]) -> str:
    """The name of the arm to hand over, by validation alone."""
    names = [name for name in (*SIMPLE, "asked") if name in arms]
    if target.task_settings.get("balanced"):  # one answer to all is never better than by chance
        names.remove("naive")
    return evidence.choose({name: arms[name].arm for name in names})
