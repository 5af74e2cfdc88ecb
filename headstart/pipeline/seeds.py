"""The transfer and its scratch arm once more from other seeds, so that luck shows in the gain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np

from headstart import defaults, evidence
from headstart.defaults import Recipe
from headstart.evidence import strategy_arm
from headstart.evidence.trials import Start, Trial, outcomes, place
from headstart.pipeline.findings import Proof
from headstart.pipeline.prepare import random_init, scratch_recipe
from headstart.pipeline.strategy_spec import FEATURES, StrategySpec

LEAST = 3  # trainings whose spread says more than the policy's: of two it is off by far


def over_seeds(proof: Proof) -> Mapping[str, np.ndarray] | None:
    """Held-out scores (seeds, N) of `chosen` and `scratch`; None where one seed is all there is.

    Scratch keeps the rate that its search found. A seed for which the budget leaves no time is left
    out, as is one that takes long where nobody said how many. Two say less of the spread than is
    known without them, so that there are three or one, unless two are asked for.
    """
    search, scratch, winner = proof.search, proof.arms.get("scratch"), proof.model
    if search.folding or scratch is None or scratch.recipe is None or proof.chosen == "scratch":
        return None
    first, spec = search.experiment, search.chosen
    count = first.settings.seeds or defaults.trainings(len(first.dataset.split("train")))
    seconds = scratch.training.seconds + winner.training.seconds
    if scratch.training.cut or (first.settings.seeds is None and seconds > defaults.QUICK):
        return None
    least, until = min(count, LEAST), first.budget.until(1.0)

    def affordable() -> Iterator[Trial]:
        for number in range(1, count):
            if until.left() < seconds * max(1, least - number):
                return
            yield Trial(number, first.budget, until)

    features = search.arms[FEATURES] if proof.chosen == search.winner and spec.trains else None
    start = Start(first, search.backbone, features)
    train = partial(_trained, start, spec, scratch.recipe)
    rows = {"chosen": [winner.arm.scores], "scratch": [scratch.arm.scores]}
    for training in outcomes(first.executor, train, affordable()):
        if training.cut or (features is None and winner.training.cut):
            break
        rows["chosen"].append(winner.arm.scores if features is None else training.chosen)
        rows["scratch"].append(training.scratch)
    if len(rows["scratch"]) < max(2, least):
        return None
    return {name: np.stack(several) for name, several in rows.items()}


class _Training(NamedTuple):
    """Held-out scores of both arms from one seed; without `chosen` where all seeds give the same.

    One that a budget `cut` short says nothing.
    """

    chosen: np.ndarray
    scratch: np.ndarray
    cut: bool


def _trained(start: Start, spec: StrategySpec, scratch: Recipe, trial: Trial) -> _Training:
    """A training of the strategy, where there are features to begin with, and one from scratch.

    Both from the run's seed and so many.
    """
    settings = replace(start.experiment.settings, seed=start.experiment.settings.seed + trial.what)
    workspace = place(start.experiment, f"seed-{trial.what}")
    experiment = replace(
        start.experiment, settings=settings, workspace=workspace, budget=trial.budget
    )
    strategy, backbone, ours = spec.build(), start.backbone, None
    if start.features is not None:
        ours = strategy_arm(experiment, backbone, strategy, str(spec), start.features, trial.until)
    recipe = scratch_recipe(experiment, strategy, backbone)
    rate, epochs = scratch.learning_rate, scratch.epochs
    theirs = evidence.scratch_at(experiment, random_init(backbone), recipe, rate, epochs)
    scores = theirs.arm.scores
    cut = theirs.training.cut or (ours is not None and ours.training.cut)
    return _Training(scores if ours is None else ours.arm.scores, scores, cut)
