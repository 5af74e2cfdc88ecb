"""The arm that the gain is over: the same network from random weights, given a fair chance."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING

from headstart import defaults
from headstart.contracts import Backbone, Strategy
from headstart.defaults import Recipe
from headstart.evidence.arms import ArmResult, arm_of, new_head
from headstart.evidence.bound import Bound
from headstart.evidence.experiment import Experiment
from headstart.evidence.judging import judge
from headstart.evidence.record import Arm
from headstart.evidence.remembered import Memory
from headstart.evidence.trials import Trial, outcomes
from headstart.runtime.budget import Budget
from headstart.runtime.checkpoints import load_checkpoint
from headstart.training import Session, Splits, Training, seed_everything

if TYPE_CHECKING:  # so that frozen features need no torch
    from headstart.contracts.model import Model

FINDINGS_SHARE = {"none": 0.0, "quick": 0.02, "full": 0.15}  # of a budget, for what comes after
SEARCH_SHARE = 0.4  # of what is left then, for the search for a rate
EARLIER = " It was trained in an earlier run on the same data."
LOSS_DIGITS = 2  # of a loss, in nats, in which two rates may differ by more than chance
Tried = list[tuple[float, Training]]  # rates, each with a short training


def scratch_arm(
    experiment: Experiment,
    rebuild: Callable[[], Backbone],
    reference: Recipe,
    candidates: Sequence[float] = defaults.SCRATCH_RATES,
    transfer: Arm | None = None,
    share: float = 1.0,
) -> tuple[ArmResult, str]:
    """The same network from random weights, under a budget that is fair to it.

    The candidate rates are tried for a quarter of the reference's epochs each, and the best, by
    validation, trains for twice the reference's epochs (after Kornblith et al. 2019), or for fewer
    as `Bound` says of a `transfer`; a single rate without one is taken. One of an earlier run comes
    from the cache. In folds it has a `share` of time and search. Answers how it was done, too.
    """
    bound = Bound(experiment, reference, transfer, share)
    alike = asdict(replace(reference, label="", learning_rate=0.0, patience=0))  # scratch has own
    memory = Memory(experiment, rebuild, {"recipe": alike, "rates": list(candidates)})
    session = experiment.session("scratch", _time_for_scratch(experiment))
    planned = _planned(session)
    past = _earlier(experiment, memory, bound) if planned is None else None
    if past is not None:
        return past
    started = time.monotonic()
    search = replace(reference, epochs=max(1, int(share * (reference.epochs // 4))))
    searched_rates = candidates if len(candidates) > 1 or transfer else ()
    searched = _searched(experiment, rebuild, search, searched_rates, session.budget)
    epochs = planned or bound.epochs([training for _, training in searched])
    recipe = replace(reference, label="scratch", epochs=epochs, patience=epochs)
    recipe = replace(recipe, learning_rate=_best(searched, candidates[0]))
    session = replace(session, decided=bound.decided if transfer else None)
    model, training = _from_scratch(experiment, rebuild, recipe, session)
    arm_parts = ("scratch", judge(experiment, model), time.monotonic() - started, training.steps)
    arm, recipe = arm_of(experiment, *arm_parts), replace(recipe, epochs=max(1, training.epochs))
    result = ArmResult(arm, model, training, recipe=recipe)
    protocol = _protocol(searched, result, bound, epochs)
    if experiment.settings.cache:
        memory.remember(result, protocol)
    return result, protocol


def _earlier(experiment: Experiment, memory: Memory, bound: Bound) -> tuple[ArmResult, str] | None:
    """What an earlier run trained so, and says of it; None where there is none."""
    past = memory.recall() if experiment.settings.cache else None
    if past is None or not bound.suits(past[0].training, past[0].arm.outputs["validation"]):
        return None
    experiment.progress.say("The network from scratch is one of an earlier run on this data.")
    return past[0], past[1] + EARLIER


def _time_for_scratch(experiment: Experiment) -> Budget:
    return experiment.budget.until(1.0 - FINDINGS_SHARE[experiment.settings.evidence])


def _planned(session: Session) -> int | None:
    """The epochs of a training that this run has begun and not ended."""
    state = load_checkpoint(session.checkpoint) if session.checkpoint else None
    return int(state["recipe"]["epochs"]) if state and "recipe" in state else None


def _searched(
    experiment: Experiment,
    rebuild: Callable[[], Backbone],
    reference: Recipe,
    candidates: Sequence[float],
    remaining: Budget,
) -> Tried:
    """Each rate with a short training, as far as the budget goes; the first in any case."""
    workers, count = experiment.executor.workers or 1, len(candidates)

    def affordable() -> Iterator[Trial]:
        for position in range(count):
            if position and remaining.spent() > SEARCH_SHARE:
                return
            share = min(1.0, (position + workers) / count) * SEARCH_SHARE
            yield Trial(position, experiment.budget, remaining.until(share))

    train = partial(_at_rate, experiment, rebuild, reference, candidates)
    return list(zip(candidates, outcomes(experiment.executor, train, affordable()), strict=False))


def _at_rate(
    experiment: Experiment,
    rebuild: Callable[[], Backbone],
    reference: Recipe,
    rates: Sequence[float],
    trial: Trial,
) -> Training:
    """A short training at one of the rates."""
    rate, epochs = rates[trial.what], reference.epochs
    label = f"scratch at {rate:g} (rate search)"
    recipe = replace(reference, label=label, learning_rate=rate, patience=epochs)
    experiment = replace(experiment, budget=trial.budget)
    session = experiment.session(f"scratch-{trial.what}", trial.until, last=False)
    return _from_scratch(experiment, rebuild, recipe, session)[1]


def _best(searched: Tried, usual: float) -> float:
    """The rate that did best, the usual one where none was tried."""
    if not searched:
        return usual
    return max(searched, key=lambda each: (_merits(each[1]), -each[0]))[0]


def _merits(training: Training) -> tuple[float, ...]:
    """What rates are compared by: the best row, then the last; losses by what is more than noise.

    Where no rate has learned yet they are equal, and the lowest serves, as one that is too high
    never learns.
    """
    rows = *training.selection_key(training.best), *training.selection_key(-1)
    return tuple(round(number, LOSS_DIGITS) for number in rows)


def _protocol(trainings: Tried, result: ArmResult, bound: Bound, epochs: int) -> str:
    """What was done from scratch: the rates with the steps of each, then the training."""
    training, rate = result.training, result.recipe.learning_rate if result.recipe else 0.0
    rates = ", ".join(f"{rate:g}" for rate, _ in trainings)
    if trainings:
        sentence = (
            f"Scratch: rates {rates} tried for "
            f"{' / '.join(str(each.steps) for _, each in trainings)} "
            f"steps, the best ({rate:g}) trained for {training.steps} steps."
        )
    else:
        sentence = f"Scratch: trained for {training.steps} steps at the rate {rate:g}, as named."
    if epochs < bound.whole:
        sentence += (
            f" Those are {epochs} passes over the items and not {bound.whole}, as it may take "
            f"{defaults.SCRATCH_TIMES:g} times as long as the transfer, or the steps that are due."
        )
    if training.cut:
        sentence += " It was ended by the budget, so the gain is an upper bound."
    if training.diverged:
        sentence += " It ended there, as its numbers were no longer finite."
    if training.decided:
        sentence += (
            " It ended there, so the gain is an upper bound: it had gained nothing on validation "
            "in the last third of its steps, and was behind the transfer by more than chance "
            "explains (99.9 %)."
        )
    return sentence


def scratch_at(
    experiment: Experiment,
    rebuild: Callable[[], Backbone],
    reference: Recipe,
    rate: float,
    epochs: int | None = None,
) -> ArmResult:
    """The same network from random weights at a rate that is known, taken from the cache if there.

    It trains for `epochs`, by default twice those of the reference.
    """
    started = time.monotonic()
    epochs = epochs or defaults.SCRATCH_MORE_STEPS * reference.epochs
    count = len(experiment.dataset.split("train"))
    label = f"scratch on {count} items"
    recipe = replace(reference, label=label, epochs=epochs, learning_rate=rate, patience=epochs)
    memory = Memory(experiment, rebuild, {"recipe": asdict(recipe)})
    remembered = memory.recall() if experiment.settings.cache else None
    if remembered is not None:
        return remembered[0]
    session = experiment.session(label, experiment.budget.until(1.0))
    model, training = _from_scratch(experiment, rebuild, recipe, session)
    seconds = time.monotonic() - started
    arm = arm_of(experiment, "scratch", judge(experiment, model), seconds, steps=training.steps)
    result = ArmResult(arm, model, training, recipe=recipe)
    if experiment.settings.cache:
        memory.remember(result, "")
    return result


class _Everything(Strategy):
    """Training from random weights: no stage is frozen, all at one rate."""

    def frozen_stages(self, epoch: int, stages: int) -> int:
        return 0


def _from_scratch(
    experiment: Experiment, rebuild: Callable[[], Backbone], recipe: Recipe, session: Session
) -> tuple[Model, Training]:
    from headstart.contracts.model import Model
    from headstart.training import train

    seed_everything(experiment.settings.seed)
    backbone = rebuild()
    model = Model.of(backbone, new_head(experiment, backbone))
    augmented = experiment.settings.augment != "no"
    splits = Splits(experiment.raw("train", augmented), experiment.raw("validation"))
    return model, train(model, experiment.task, _Everything(), splits, recipe, session)
