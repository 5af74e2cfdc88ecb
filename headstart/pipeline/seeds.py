"""The transfer and its scratch arm once more from other seeds, so that luck shows in the gain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from headstart import defaults
from headstart.evidence import strategy_arm
from headstart.pipeline.findings import Proof
from headstart.pipeline.strategy_spec import FEATURES

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
    least = min(count, LEAST)
    rows = {"chosen": [winner.arm.scores], "scratch": [scratch.arm.scores]}
    for number in range(1, count):
        settings = replace(first.settings, seed=first.settings.seed + number)
        place = first.workspace / f"seed-{number}" if first.workspace else None
        experiment = replace(first, settings=settings, workspace=place)
        until, ours = experiment.budget.until(1.0), winner
        if until.left() < seconds * max(1, least - number):
            break
        if proof.chosen == search.winner and spec.trains:  # else all seeds give the same
            features = search.arms[FEATURES]
            ours = strategy_arm(
                experiment, search.backbone, spec.build(), str(spec), features, until
            )
        theirs = search.scratch_like(scratch.recipe, experiment)
        if ours.training.cut or theirs.training.cut:
            break
        rows["chosen"].append(ours.arm.scores)
        rows["scratch"].append(theirs.arm.scores)
    if len(rows["scratch"]) < max(2, least):
        return None
    return {name: np.stack(several) for name, several in rows.items()}
