"""A few items learned by heart before a long training: what can't do that will not learn more."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Any, Final

import numpy as np

from headstart.contracts import Backbone, Strategy
from headstart.contracts.frozen import FrozenModel
from headstart.contracts.rehearsal import Rehearsal
from headstart.evidence.arms import new_head
from headstart.evidence.experiment import Experiment
from headstart.runtime.budget import Budget

FEW: Final = 10  # items
SECONDS: Final = 60.0
SHARE: Final = 0.1  # of a budget
LONG: Final = 60.0  # seconds of a training that must not be in vain
_STEPS: Final = 200
_BATCH: Final = 5
_AGAIN: Final = 5  # times that each item comes in an epoch, as judging takes time too
_FALLEN: Final = 0.9  # times the first loss: what is above has not fallen


@dataclass(frozen=True)
class Rehearsed:
    """What came of it: the score from 0 to 1, and why it is low; empty where it is high enough.

    `seconds` is about what the whole training will take.
    """

    score: float
    cause: str
    steps: int
    seconds: float

    @property
    def is_long(self) -> bool:
        """Whether the whole training takes long."""
        return self.seconds > LONG


def rehearse(
    experiment: Experiment, backbone: Backbone, strategy: Strategy, name: str
) -> Rehearsed | None:
    """Train by a strategy on ten items, until they are known by heart, and judge on the same.

    None where the task has no rehearsal, where there is nothing to train or to learn, and where
    time ends it first.
    """
    from headstart.training import predict, seed_everything, train

    rehearsal, few = experiment.task.rehearsal, _few(experiment)
    recipe = experiment.recipe(strategy, f"{name}, ten by heart", backbone)
    if rehearsal is None or few is None or not recipe.epochs:
        return None
    epochs = ceil(_STEPS * _BATCH / len(few.dataset.split("train")))
    short = replace(recipe, epochs=epochs, patience=epochs, batch_size=_BATCH)
    seed_everything(experiment.settings.seed)
    model = copy.deepcopy(FrozenModel(backbone, new_head(experiment, backbone)).network)
    splits, targets = few.splits(backbone, strategy, epochs), few.dataset.targets("validation")

    def is_learned(training: Any, outputs: np.ndarray) -> bool:
        return rehearsal.score(outputs, targets) >= rehearsal.enough

    until = Budget(min(SECONDS, SHARE * experiment.budget.left()))  # from when maps are there
    session = replace(few.session("", until), decided=is_learned, checkpoint=None)
    training = train(model, experiment.task, strategy, splits, short, session)
    outputs = predict(model, splits.validation, few.accelerator)
    score = rehearsal.score(outputs, targets)
    if training.cut and score < rehearsal.enough:
        return None
    passes = recipe.epochs * len(experiment.dataset.split("train"))
    seconds = training.seconds / max(1, training.steps) * passes / _BATCH
    losses = [row["loss"] for row in training.history[1:]]
    fault = (
        _fault(rehearsal, losses, diverged=training.diverged) if score < rehearsal.enough else ""
    )
    if score < rehearsal.enough and not fault:
        fault = rehearsal.cause(outputs, targets, experiment.reader.preprocess)
    return Rehearsed(score, fault, training.steps, seconds)


def _fault(rehearsal: Rehearsal, losses: Sequence[float], *, diverged: bool) -> str:
    """What the losses say by themselves."""
    if diverged:
        return "Its numbers stop being finite. Give a lower --learning-rate"
    if losses and min(losses) > _FALLEN * losses[0]:
        return (
            f"Its loss hardly falls, from {losses[0]:.3g} to {min(losses):.3g}. "
            "Give another --learning-rate, or train more of the network with -s"
        )
    return ""


def _few(experiment: Experiment) -> Experiment | None:
    """The experiment with ten training items that it learns from and is judged on; none without."""
    rows = experiment.dataset.targets("train")
    nothing = np.zeros((len(rows), experiment.task.output_dim(experiment.labels)), np.float32)
    missed = experiment.task.losses(nothing, rows)
    pairs = zip(experiment.dataset.split("train"), missed, strict=True)
    items = [item for item, loss in pairs if loss > 0][:FEW]
    if not items:
        return None
    both = *items * _AGAIN, *(replace(item, split="validation") for item in items)
    return replace(
        experiment,
        dataset=replace(experiment.dataset, items=both),
        settings=replace(experiment.settings, augment="no", views=0),
        budget=Budget(None),
        workspace=None,
        pace=(),
    )
