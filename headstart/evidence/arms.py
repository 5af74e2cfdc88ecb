"""The arms: ways to solve one task on the same splits, from naive to chosen."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass, field, replace
from math import inf
from typing import TYPE_CHECKING

import numpy as np

from headstart.contracts import Backbone, Strategy
from headstart.contracts.frozen import FrozenModel, LinearHead, Network, as_model, as_module
from headstart.contracts.head import HeadFitter
from headstart.data.targets import kind_named
from headstart.defaults import Recipe
from headstart.errors import HeadstartError
from headstart.evidence.experiment import Experiment
from headstart.evidence.fitting import answers, fitted, full_probe, joined, merit
from headstart.evidence.judging import JUDGED, judge, refit_head
from headstart.evidence.lookup import copied
from headstart.evidence.record import Arm
from headstart.features.legality import cacheable_stages
from headstart.runtime.budget import Budget
from headstart.training import Training, seed_everything

if TYPE_CHECKING:  # so that frozen features need no torch
    from torch import nn

    from headstart.contracts.model import Model

STRATEGY_SHARE = 0.4  # of a budget, by when the strategy must be done; the rest is scratch's
BLEND = 0.5  # share of the trained weights in a blend, as Wortsman et al. advise unseen
_FROZEN = "frozen stages are bit-identical"
_OWN = "headstart."


@dataclass
class ArmResult:
    """An arm with the model it made, and the head from which others start, if not its own."""

    arm: Arm
    network: Network
    training: Training = field(default_factory=Training)
    checks: dict[str, bool] = field(default_factory=dict)
    recipe: Recipe | None = None  # of its training, where it was searched for
    first: nn.Module | LinearHead | None = None  # a head that has seen the training items alone

    @property
    def model(self) -> Model:
        """The network in torch, made now where it is a frozen backbone under a head."""
        return as_model(self.network)

    def on(self, backbone: Backbone) -> ArmResult:
        """The same on a backbone that is at hand, of which a worker sent a copy."""
        frozen = isinstance(self.network, FrozenModel)
        network = FrozenModel(backbone, self.network.head) if frozen else self.network
        return replace(self, network=network)

    @property
    def start(self) -> nn.Module | None:
        """The head from which others start, in torch."""
        return None if self.first is None else as_module(self.first)


def naive_arm(experiment: Experiment, features: ArmResult) -> ArmResult:
    """Always the commonest label: the same network under a head that ignores its input.

    Where answers are texts it is a copy of the source, which is never handed over either.
    """
    task, labels = experiment.task, experiment.labels
    if not kind_named(task.kind).constant:
        return ArmResult(arm_of(experiment, "naive", copied(experiment), 0.0), features.network)
    constant = task.naive(experiment.dataset.targets("train"), labels)
    outputs = {name: np.tile(constant, (len(experiment.dataset.split(name)), 1)) for name in JUDGED}
    model = features.network
    if task.reads_maps:  # it is compared with, and never handed over
        return ArmResult(arm_of(experiment, "naive", outputs, 0.0), model)
    weight = np.zeros((len(labels), _width(features.network.head)), np.float32)
    head = LinearHead(weight, constant.astype(np.float32))
    if isinstance(model, FrozenModel):
        return ArmResult(arm_of(experiment, "naive", outputs, 0.0), model.with_head(head))
    return ArmResult(arm_of(experiment, "naive", outputs, 0.0), model.with_head(head.layer()))


def features_arm(experiment: Experiment, backbone: Backbone) -> ArmResult:
    """The backbone frozen, its features extracted once, under a probe.

    The probe answers validation as it is fitted to the training items alone, so that it can be
    compared with other arms, and strategies start from it. What answers test items and is handed
    over is fitted to both. Without a probe the head is as the task makes it: no arm to compare
    with, and only what others need of one.
    """
    if not experiment.task.has_probe:
        return _untrained(experiment, backbone)
    started = time.monotonic()
    examples = experiment.examples(backbone)
    _seed(experiment, experiment.task)
    experiment.progress.say("Fitting a probe on the frozen features.")
    probe_inputs = examples["train"], examples["validation"], experiment.labels
    start = experiment.task.linear_probe(*probe_inputs)
    head = full_probe(experiment.task, *probe_inputs)
    heads = {"validation": start, "test": head}
    outputs = {name: answers(heads[name], examples[name][0]) for name in JUDGED}
    arm = arm_of(experiment, "feature-extraction", outputs, time.monotonic() - started)
    return ArmResult(arm, FrozenModel(backbone, head), first=start)


def _untrained(experiment: Experiment, backbone: Backbone) -> ArmResult:
    from headstart.contracts.model import Model

    started = time.monotonic()
    seed_everything(experiment.settings.seed)
    model = Model.of(backbone, new_head(experiment, backbone))
    outputs = judge(experiment, model)
    return ArmResult(arm_of(experiment, "untrained", outputs, time.monotonic() - started), model)


def head_arm(
    experiment: Experiment, backbone: Backbone, head: HeadFitter, name: str, features: ArmResult
) -> ArmResult:
    """The backbone frozen under another head than the probe, on the same stored features.

    Raises HeadstartError where a package is missing, or features are not finite.
    """
    started = time.monotonic()
    examples = experiment.examples(backbone)
    seed_everything(experiment.settings.seed)
    experiment.progress.say(f"Fitting another head on the frozen features ({name}).")
    units = experiment.task_settings.get("scale", ())
    head = head.related_to([each.in_units(units) for each in backbone.related])
    train, validation = examples["train"], examples["validation"]
    start = fitted_head = fitted(experiment, head, train, validation)
    if head.cross_validates:  # validation is to learn from, too
        fitted_head = fitted(experiment, head, joined(train, validation), validation)
    heads = {"validation": start, "test": fitted_head}
    outputs = {split: answers(heads[split], examples[split][0]) for split in JUDGED}
    spent = features.arm.seconds + time.monotonic() - started
    return ArmResult(arm_of(experiment, name, outputs, spent), FrozenModel(backbone, fitted_head))


def strategy_arm(
    experiment: Experiment,
    backbone: Backbone,
    strategy: Strategy,
    name: str,
    features: ArmResult,
    until: Budget | None = None,
    hopeless: float = -inf,
) -> ArmResult:
    """Train by a strategy, from the probe's head where the strategy says so.

    Training reads stored activations wherever that is legal; the arm is always judged on raw items.
    A head that began as a probe, or is to end as one, is fitted once more on the trained features.
    It ends when the budget `until` does, by default the share that leaves time for scratch, and
    where it stays below the validation score `hopeless`.
    """
    from headstart.training import train

    started, recipe = time.monotonic(), experiment.recipe(strategy, name, backbone)
    seed_everything(experiment.settings.seed)
    probe = experiment.task.has_probe and strategy.starts_from_probe()
    head = _start(features) if probe else new_head(experiment, backbone)
    model = copy.deepcopy(FrozenModel(backbone, head).network)
    splits = experiment.splits(backbone, strategy, recipe.epochs)
    training, refits = Training(), probe or _ends_with_probe(experiment, strategy)
    if recipe.epochs:
        share = STRATEGY_SHARE if experiment.settings.scratch else 1.0
        session = experiment.session(name, until or experiment.budget.until(share))
        session = replace(session, hopeless=hopeless, pace=experiment.pace)
        if refits:  # which needs the features of all that is learned from
            again = 1.0 + len(splits.train) / len(splits.validation)
            session = replace(session, judging=session.judging + again)
        training = train(model, experiment.task, strategy, splits, recipe, session)
    trained = model.head
    outputs = _answered(experiment, model, refits and training.steps > 0)
    spent = time.monotonic() - started + (features.arm.seconds if probe else 0.0)
    arm = arm_of(experiment, name, outputs, spent, steps=training.steps, note=training.ending)
    frozen = cacheable_stages(strategy, training.epochs, len(model.stages), augmented=False)
    intact = unchanged(model, backbone, frozen) and training.intact
    return ArmResult(arm, model, training, {_FROZEN: intact}, first=trained)


def blended_arm(
    experiment: Experiment, backbone: Backbone, features: ArmResult, tuned: ArmResult, name: str
) -> ArmResult:
    """The network half way between the probe on frozen features and one trained from it.

    Nothing is trained (WiSE-FT, Wortsman et al. 2022): each weight is the mean of the trained one
    and the one it started from. `name` is the strategy that ends so by itself.
    """
    from headstart.contracts.model import Model

    began = time.monotonic()
    model = copy.deepcopy(tuned.model)
    model.head = copy.deepcopy(_start(tuned))
    model.blend(Model.of(backbone, _start(features)).state_dict(), BLEND)
    trained = model.head
    outputs = _answered(experiment, model, tuned.training.steps > 0)
    seconds = tuned.arm.seconds + time.monotonic() - began
    arm = arm_of(experiment, name, outputs, seconds, steps=tuned.arm.steps)
    return ArmResult(arm, model, tuned.training, tuned.checks, first=trained)


def unchanged(model: Model, backbone: Backbone, frozen: int) -> bool:
    """Whether the first `frozen` stages equal the backbone's bit for bit, buffers too.

    Where all stages are frozen the pooling is as well.
    """
    import torch

    from headstart.contracts.model import with_pool

    whole = frozen >= len(model.stages)
    parts = with_pool(model.stages, model.pool) if whole else list(model.stages)[:frozen]
    for trained, original in zip(parts, backbone.prefix(frozen), strict=True):
        state = original.state_dict()
        for name, tensor in trained.state_dict().items():
            if not torch.equal(tensor.cpu(), state[name].cpu()):
                return False
    return True


def new_head(experiment: Experiment, backbone: Backbone) -> nn.Module:
    """A head that was fitted to nothing."""
    task = experiment.task
    if task.reads_maps:  # whose head has pretrained layers, which random weights have none of
        task = task.for_backbone(backbone)
    return task.head(backbone.feature_dim, experiment.labels)


def _start(outcome: ArmResult) -> nn.Module:
    return outcome.start or outcome.model.head


def _ends_with_probe(experiment: Experiment, strategy: Strategy) -> bool:
    return experiment.task.has_probe and strategy.ends_with_probe()


def _answered(experiment: Experiment, model: Model, refit: bool) -> dict[str, np.ndarray]:
    """A model's outputs for each judged split, its head fitted once more before."""
    if refit and experiment.budget.over():
        experiment.progress.say(
            "The head is not fitted once more with the validation items, as the budget is over."
        )
        refit = False
    checked = {"validation": refit_head(experiment, model)} if refit else {}
    return judge(experiment, model) | checked


def _width(head: nn.Module | LinearHead) -> int:
    weight = head.weight if isinstance(head, LinearHead) else next(head.parameters())
    return int(weight.shape[-1])


def _seed(experiment: Experiment, part: object) -> None:
    """Seed what a part may draw from, which for our own probes is nothing of torch's."""
    seed_everything(experiment.settings.seed, torch=not type(part).__module__.startswith(_OWN))


def arm_of(
    experiment: Experiment,
    name: str,
    outputs: dict[str, np.ndarray],
    seconds: float,
    steps: int = 0,
    note: str = "",
) -> Arm:
    """An arm from its outputs on validation and test, steps and cost.

    Raises HeadstartError where they are not finite.
    """
    task = experiment.task
    if not all(np.isfinite(answer).all() for answer in outputs.values()):
        raise HeadstartError(
            f"What {name} answers is not finite. Give --precision fp32, or name other weights."
        )
    truth = {split: experiment.dataset.targets(split) for split in JUDGED}
    checked = task.scores(outputs["validation"], truth["validation"])
    scores = task.scores(outputs["test"], truth["test"])
    selection_key = merit(task, outputs["validation"], truth["validation"])
    return Arm(name, scores, selection_key, seconds, steps, note, checked, outputs)
