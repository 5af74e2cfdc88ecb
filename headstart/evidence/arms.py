"""The arms: ways to solve one task on the same splits, from naive to chosen."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass, field, replace
from math import inf

import numpy as np
import torch
from torch import nn

from headstart.contracts import Backbone, Strategy
from headstart.contracts.head import HeadFitter
from headstart.contracts.model import Model
from headstart.defaults import Recipe
from headstart.errors import HeadstartError
from headstart.evidence.fitting import answers, fitted, full_probe
from headstart.evidence.judging import JUDGED, judge, refit_head
from headstart.evidence.record import Arm
from headstart.evidence.target import Target
from headstart.features.legality import storable
from headstart.runtime.budget import Budget
from headstart.training import Training, seed_everything, train

STRATEGY_SHARE = 0.4  # of a budget, by when the strategy must be done; the rest is scratch's
BLEND = 0.5  # share of the trained weights in a blend, as Wortsman et al. advise unseen


@dataclass
class Outcome:
    """An arm with the model it made, and the head from which others start, if not its own."""

    arm: Arm
    model: Model
    training: Training = field(default_factory=Training)
    checks: dict[str, bool] = field(default_factory=dict)
    recipe: Recipe | None = None  # of its training, where it was searched for
    start: nn.Module | None = None  # a head that has seen the training items alone


def naive_arm(target: Target, features: Outcome) -> Outcome:
    """Always the commonest label: the same network under a head that ignores its input."""
    task, labels = target.task, target.labels
    constant = task.naive(target.dataset.targets("train"), labels)
    old = features.model.head
    head = nn.Linear(_width(old), len(labels))
    with torch.no_grad():
        head.weight.zero_()
        head.bias.copy_(torch.from_numpy(constant))
    outputs = {name: np.tile(constant, (len(target.dataset.split(name)), 1)) for name in JUDGED}
    model = Model(dict(zip(features.model.names, features.model.stages, strict=True)), head)
    return Outcome(arm_of(target, "naive", outputs, 0.0), model)


def features_arm(target: Target, backbone: Backbone) -> Outcome:
    """The backbone frozen, its features extracted once, under a probe.

    The probe answers validation as it is fitted to the training items alone, so that it can be
    compared with other arms, and strategies start from it. What answers test items and is handed
    over is fitted to both.
    """
    started = time.monotonic()
    examples = target.examples(backbone)
    seed_everything(target.settings.seed)
    target.progress.say("Fitting a probe on the frozen features.")
    given = examples["train"], examples["validation"], target.labels
    start, head = target.task.probe(*given), full_probe(target.task, *given)
    heads = {"validation": start, "test": head}
    outputs = {name: answers(heads[name], examples[name][0]) for name in JUDGED}
    arm = arm_of(target, "feature-extraction", outputs, time.monotonic() - started)
    return Outcome(arm, Model(backbone.stages, head), start=start)


def head_arm(
    target: Target, backbone: Backbone, head: HeadFitter, name: str, features: Outcome
) -> Outcome:
    """The backbone frozen under another head than the probe, on the same stored features.

    Raises HeadstartError where a package is missing, or features are not finite.
    """
    started = time.monotonic()
    examples = target.examples(backbone)
    seed_everything(target.settings.seed)
    target.progress.say(f"Fitting another head on the frozen features ({name}).")
    made = fitted(target, head, examples["train"], examples["validation"])
    outputs = {split: answers(made, examples[split][0]) for split in JUDGED}
    spent = features.arm.seconds + time.monotonic() - started
    return Outcome(arm_of(target, name, outputs, spent), Model(backbone.stages, made))


def strategy_arm(
    target: Target,
    backbone: Backbone,
    strategy: Strategy,
    name: str,
    features: Outcome,
    until: Budget | None = None,
    hopeless: float = -inf,
) -> Outcome:
    """Train by a strategy, from the probe's head where the strategy says so.

    Training reads stored activations wherever that is legal; the arm is always judged on raw items.
    A head that began as a probe, or is to end as one, is fitted once more on the trained features.
    It ends when the budget `until` does, by default the share that leaves time for scratch, and
    where it stays below the validation score `hopeless`.
    """
    started = time.monotonic()
    recipe = target.recipe(strategy, name, backbone)
    seed_everything(target.settings.seed)
    probe = strategy.starts_from_probe()
    head = copy.deepcopy(_start(features)) if probe else new_head(target, backbone)
    model = Model(copy.deepcopy(dict(backbone.stages)), head)
    splits = target.splits(backbone, strategy, recipe.epochs)
    training, refits = Training(), probe or strategy.ends_with_probe()
    if recipe.epochs:
        share = STRATEGY_SHARE if target.settings.scratch else 1.0
        session = target.session(name, until or target.budget.until(share))
        session = replace(session, hopeless=hopeless, pace=target.pace)
        if refits:  # which needs the features of all that is learned from
            learned = len(splits.train) + len(splits.validation)
            again = session.judging + learned / len(splits.validation)
            session = replace(session, judging=again)
        training = train(model, target.task, strategy, splits, recipe, session)
    trained = model.head
    outputs = _answered(target, model, refits and training.steps > 0)
    spent = time.monotonic() - started + (features.arm.seconds if probe else 0.0)
    arm = arm_of(target, name, outputs, spent, steps=training.steps, note=training.ending)
    frozen = storable(strategy, training.epochs, len(model.stages), augmented=False)
    checks = {"frozen stages are bit-identical": unchanged(model, backbone, frozen)}
    return Outcome(arm, model, training, checks, start=trained)


def blended_arm(
    target: Target, backbone: Backbone, features: Outcome, tuned: Outcome, name: str
) -> Outcome:
    """The network half way between the probe on frozen features and one trained from it.

    Nothing is trained (WiSE-FT, Wortsman et al. 2022): each weight is the mean of the trained one
    and the one it started from. `name` is the strategy that ends so by itself.
    """
    began = time.monotonic()
    model = copy.deepcopy(tuned.model)
    model.head = copy.deepcopy(_start(tuned))
    model.blend(Model(backbone.stages, _start(features)).state_dict(), BLEND)
    trained = model.head
    outputs = _answered(target, model, tuned.training.steps > 0)
    seconds = tuned.arm.seconds + time.monotonic() - began
    arm = arm_of(target, name, outputs, seconds, steps=tuned.arm.steps)
    return Outcome(arm, model, tuned.training, tuned.checks, start=trained)


def unchanged(model: Model, backbone: Backbone, frozen: int) -> bool:
    """Whether the first `frozen` stages equal the backbone's bit for bit, buffers too."""
    for trained, given in zip(list(model.stages)[:frozen], backbone.stages.values(), strict=False):
        state = given.state_dict()
        for name, tensor in trained.state_dict().items():
            if not torch.equal(tensor.cpu(), state[name].cpu()):
                return False
    return True


def new_head(target: Target, backbone: Backbone) -> nn.Module:
    """A head that was fitted to nothing."""
    return target.task.head(backbone.feature_dim, target.labels)


def _start(outcome: Outcome) -> nn.Module:
    return outcome.start or outcome.model.head


def _answered(target: Target, model: Model, refit: bool) -> dict[str, np.ndarray]:
    """A model's outputs for each judged split, its head fitted once more before."""
    refit = refit and not target.budget.over()
    checked = {"validation": refit_head(target, model)} if refit else {}
    return judge(target, model) | checked


def _width(head: nn.Module) -> int:
    return int(next(head.parameters()).shape[-1])


def arm_of(
    target: Target,
    name: str,
    outputs: dict[str, np.ndarray],
    seconds: float,
    steps: int = 0,
    note: str = "",
) -> Arm:
    """An arm from its outputs on validation and test, steps and cost.

    Raises HeadstartError where they are not finite.
    """
    task = target.task
    if not all(np.isfinite(found).all() for found in outputs.values()):
        raise HeadstartError(
            f"What {name} answers is not finite. Give --precision fp32, or name other weights."
        )
    truth = {split: target.dataset.targets(split) for split in JUDGED}
    checked = task.scores(outputs["validation"], truth["validation"])
    losses = task.losses(outputs["validation"], truth["validation"])
    scores = task.scores(outputs["test"], truth["test"])
    merit = float(checked.mean()), -float(losses.mean())
    return Arm(name, scores, merit, seconds, steps, note, checked, outputs)
