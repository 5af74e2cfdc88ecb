"""The arm that the gain is over: the same network from random weights, given a fair chance."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from headstart import defaults
from headstart.contracts import Backbone, Strategy
from headstart.defaults import Recipe
from headstart.evidence.arms import Outcome, arm_of, new_head
from headstart.evidence.judging import judge
from headstart.evidence.target import Target
from headstart.model import Model
from headstart.training import Session, Splits, Training, seed_everything, train

FINDINGS_SHARE = {"none": 0.0, "quick": 0.02, "full": 0.15}  # of a budget, for what comes after
SEARCH_SHARE = 0.4  # of what is left then, for the search for a rate


def scratch_arm(
    target: Target,
    rebuild: Callable[[], Backbone],
    reference: Recipe,
    candidates: Sequence[float] = defaults.SCRATCH_RATES,
) -> tuple[Outcome, str]:
    """The same network from random weights, under a budget that is fair to it.

    The candidate rates are tried for a quarter of the reference's epochs each, and the best, by
    validation, trains for twice the reference's epochs without early stopping (protocol after
    Kornblith et al. 2019, who double the steps and search its own rates). Answers with a sentence
    that says what was done.
    """
    started = time.monotonic()
    left = target.budget.until(1.0 - FINDINGS_SHARE[target.settings.evidence])
    epochs = defaults.SCRATCH_MORE_STEPS * reference.epochs
    search = max(1, reference.epochs // 4)
    tried: list[tuple[tuple[float, ...], float, int]] = []
    for position, rate in enumerate(candidates):
        if tried and left.spent() > SEARCH_SHARE:
            break
        searched = (position + 1) / len(candidates) * SEARCH_SHARE
        label = f"scratch at {rate:g} (rate search)"
        recipe = replace(reference, label=label, epochs=search, rate=rate, patience=search)
        session = target.session(f"scratch-{position}", left.until(searched), last=False)
        _, training = _from_scratch(target, rebuild, _Everything(), recipe, session)
        merits = *training.merit(training.best), *training.merit(-1)  # the last where none learned
        tried.append((merits, rate, training.steps))
    rate = max(tried)[1]
    recipe = replace(reference, label="scratch", epochs=epochs, rate=rate, patience=epochs)
    session = target.session("scratch", left)
    model, training = _from_scratch(target, rebuild, _Everything(), recipe, session)
    judged = judge(target, model)
    arm = arm_of(target, "scratch", judged, time.monotonic() - started, steps=training.steps)
    return Outcome(arm, model, training, recipe=recipe), _protocol(tried, rate, training)


def _protocol(
    tried: Sequence[tuple[tuple[float, ...], float, int]], rate: float, training: Training
) -> str:
    """What was done from scratch: the rates with the steps of each, then the training."""
    rates = ", ".join(f"{entry[1]:g}" for entry in tried)
    said = (
        f"Scratch: rates {rates} tried for {' / '.join(str(entry[2]) for entry in tried)} steps, "
        f"the best ({rate:g}) trained for {training.steps} steps."
    )
    if training.cut:
        said += " It was ended by the budget, so the gain is an upper bound."
    if training.diverged:
        said += " It ended there, as its numbers were no longer finite."
    return said


def scratch_at(
    target: Target, rebuild: Callable[[], Backbone], reference: Recipe, rate: float
) -> Outcome:
    """The same network from random weights at a rate that is known, for twice the reference."""
    started = time.monotonic()
    epochs = defaults.SCRATCH_MORE_STEPS * reference.epochs
    count = len(target.dataset.split("train"))
    label = f"scratch on {count} items"
    recipe = replace(reference, label=label, epochs=epochs, rate=rate, patience=epochs)
    session = target.session(label, target.budget.until(1.0))
    model, training = _from_scratch(target, rebuild, _Everything(), recipe, session)
    seconds = time.monotonic() - started
    arm = arm_of(target, "scratch", judge(target, model), seconds, steps=training.steps)
    return Outcome(arm, model, training, recipe=recipe)


class _Everything(Strategy):
    """Training from random weights: no stage is frozen, all at one rate."""

    def frozen_stages(self, epoch: int, stages: int) -> int:
        return 0


def _from_scratch(
    target: Target,
    rebuild: Callable[[], Backbone],
    strategy: Strategy,
    recipe: Recipe,
    session: Session,
) -> tuple[Model, Training]:
    seed_everything(target.settings.seed)
    backbone = rebuild()
    model = Model(backbone.stages, new_head(target, backbone))
    augmented = target.settings.augment != "no"
    splits = Splits(target.raw("train", augmented), target.raw("validation"))
    return model, train(model, target.task, strategy, splits, recipe, session)
