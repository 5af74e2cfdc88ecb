"""What a trial's model was worth: the arms it must beat, the choice among them, the end of a run.

Each step takes the arms that there are, by name, and answers with them and its own.
"""

from __future__ import annotations

from collections.abc import Mapping

from headstart import defaults, evidence
from headstart.evidence import Outcome, Target
from headstart.pipeline.affordable import has_time
from headstart.pipeline.finish import SIMPLE, finish
from headstart.pipeline.heads import FEATURES
from headstart.pipeline.prepare import rebuild, reference
from headstart.pipeline.trials import Trial
from headstart.results import Result
from headstart.results.ranking import Ranking
from headstart.tracking import Followed
from headstart.workspace import Workspace

Arms = dict[str, Outcome]
UNTRAINED = "No network was trained from scratch."


def proved(
    trial: Trial, workspace: Workspace, run: Followed, ranking: Ranking | None = None
) -> Result:
    """Compare a trial with what it must beat, and save the best on validation."""
    target = trial.target
    arms, protocol = with_scratch(trial, rivals(trial))
    kept = choice(target, arms)
    words = None if target.budget.over() else evidence.words_arm(target)
    result = finish(trial, workspace, arms, (kept, protocol), words, ranking)
    run.result(result.to_json)
    return result


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
    if not (target.settings.scratch and source.differentiable):
        return dict(arms), UNTRAINED
    if not has_time(target, source, name, trainings=2):  # a search, and what it found
        return dict(arms), f"{UNTRAINED[:-1]}, as the budget left no time for it."
    recipe = reference(target, trial.moves, source)
    rates = defaults.scratch_rates(source.delicate)
    scratch, protocol = evidence.scratch_arm(target, rebuild(source), recipe, rates)
    first, last = {n: arms[n] for n in arms if n != "asked"}, {"asked": arms["asked"]}
    return first | {"scratch": scratch} | last, protocol


def choice(target: Target, arms: Mapping[str, Outcome]) -> str:
    """The name of the arm to hand over, by validation alone."""
    names = [name for name in (*SIMPLE, "asked") if name in arms]
    if target.task_settings.get("balanced"):  # one answer to all is never better than by chance
        names.remove("naive")
    return evidence.choose({name: arms[name].arm for name in names})
