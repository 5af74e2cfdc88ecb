"""The transfer and its scratch arm once more from other seeds, so that luck shows in the gain."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from typing import NamedTuple, final

import numpy as np

from headstart import defaults, evidence
from headstart.contracts import Backbone
from headstart.contracts.executor import Local, Work
from headstart.contracts.frozen import FrozenModel
from headstart.defaults import Recipe
from headstart.evidence import ArmResult, Experiment, strategy_arm
from headstart.pipeline.findings import Proof
from headstart.pipeline.prepare import random_init, scratch_recipe
from headstart.pipeline.strategy_spec import FEATURES, StrategySpec
from headstart.runtime.progress import Silent

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

    def affordable() -> Iterator[int]:
        for number in range(1, count):
            if until.left() < seconds * max(1, least - number):
                return
            yield number

    features = search.arms[FEATURES] if proof.chosen == search.winner and spec.trains else None
    work = _Trainings(first, search.backbone, spec, features, scratch.recipe)
    rows = {"chosen": [winner.arm.scores], "scratch": [scratch.arm.scores]}
    with closing(first.executor.run(work, affordable())) as trainings:
        for training in trainings:
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


@final
@dataclass(frozen=True)
class _Trainings(Work[int, _Training]):
    """A training of the strategy, from `features` where it trains, and one from scratch a seed."""

    experiment: Experiment
    backbone: Backbone
    spec: StrategySpec
    features: ArmResult | None
    scratch: Recipe

    def stream(self, pieces: Iterable[int]) -> Iterator[_Training]:
        """Both trainings, from the run's seed and so many."""
        return map(self._trained, pieces)

    def settled(self, first: int) -> _Trainings:
        """The same without what belongs to this process alone."""
        own, features = self.experiment, self.features
        backbone = replace(self.backbone, stages=dict(self.backbone.stages))  # all of them loaded
        if features is not None and isinstance(features.network, FrozenModel):
            features = replace(features, network=FrozenModel(backbone, features.network.head))
        experiment = replace(
            own,
            reader=own.reader.afresh(),
            compute=replace(own.compute),
            progress=Silent(),
            executor=Local(),
        )
        return replace(self, experiment=experiment, backbone=backbone, features=features)

    def _trained(self, number: int) -> _Training:
        own = self.experiment
        settings = replace(own.settings, seed=own.settings.seed + number)
        place = own.workspace if own.workspace and own.workspace.is_dir() else None
        experiment = replace(
            own, settings=settings, workspace=place / f"seed-{number}" if place else None
        )
        until, strategy = experiment.budget.until(1.0), self.spec.build()
        ours = None
        if self.features is not None:
            name = str(self.spec)
            ours = strategy_arm(experiment, self.backbone, strategy, name, self.features, until)
        recipe = scratch_recipe(experiment, strategy, self.backbone)
        rate, epochs = self.scratch.learning_rate, self.scratch.epochs
        rebuild = random_init(self.backbone)
        theirs = evidence.scratch_at(experiment, rebuild, recipe, rate, epochs)
        scores = theirs.arm.scores
        cut = theirs.training.cut or (ours is not None and ours.training.cut)
        return _Training(scores if ours is None else ours.arm.scores, scores, cut)
