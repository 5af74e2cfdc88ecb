"""The transfer and its scratch arm once more from other seeds, so that luck shows in the gain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from headstart import defaults, evidence
from headstart.evidence import ArmResult
from headstart.pipeline.heads import FEATURES
from headstart.pipeline.prepare import random_init, scratch_recipe
from headstart.pipeline.selection.strategy_search import StrategySearch

LEAST = 3  # trainings whose spread says more than the policy's: of two it is off by far


def over_seeds(
    trial: StrategySearch, arms: Mapping[str, ArmResult], kept: str
) -> Mapping[str, np.ndarray] | None:
    """Held-out scores (seeds, N) of `chosen` and `scratch`; None where one seed is all there is.

    Scratch keeps the rate that its search found. A seed for which the budget leaves no time is left
    out, as is one that takes long where nobody said how many. Two say less of the spread than is
    known without them, so that there are three or one, unless two are asked for.
    """
    first, scratch = trial.experiment, arms.get("scratch")
    if trial.folding or scratch is None or scratch.recipe is None or kept == "scratch":
        return None
    winner = arms[kept]  # which all seeds give where nothing is trained
    wanted = first.settings.seeds or defaults.trainings(len(first.dataset.split("train")))
    seconds = scratch.training.seconds + winner.training.seconds
    if scratch.training.cut or (first.settings.seeds is None and seconds > defaults.QUICK):
        return None
    least = min(wanted, LEAST)
    rows = {"chosen": [winner.arm.scores], "scratch": [scratch.arm.scores]}
    for number in range(1, wanted):
        settings = replace(first.settings, seed=first.settings.seed + number)
        place = first.workspace / f"seed-{number}" if first.workspace else None
        experiment = replace(first, settings=settings, workspace=place)
        left = experiment.budget.until(1.0)
        if left.left() < seconds * max(1, least - number):
            break
        name, made = trial.winner, winner
        if kept == "asked" and trial.moves.epochs(1):
            given = (experiment, trial.backbone, trial.moves, name, trial.tried[FEATURES], left)
            made = evidence.strategy_arm(*given)
        recipe = scratch_recipe(experiment, trial.moves, trial.backbone)
        alike = (scratch.recipe.learning_rate, scratch.recipe.epochs)
        other = evidence.scratch_at(experiment, random_init(trial.backbone), recipe, *alike)
        if made.training.cut or other.training.cut:
            break
        for who, arm in (("chosen", made.arm), ("scratch", other.arm)):
            rows[who].append(arm.scores)
    if len(rows["scratch"]) < max(2, least):
        return None
    return {who: np.stack(several) for who, several in rows.items()}
