"""The arms: ways to solve one task on the same splits, from naive to chosen."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn

from headstart import defaults
from headstart.budget import Budget
from headstart.contracts import Backbone, Strategy, Task
from headstart.data import Dataset
from headstart.defaults import Recipe, Settings
from headstart.evidence.record import Arm
from headstart.features.extract import Prefix, extract, fits_on_disk, storable
from headstart.features.feed import Feed, RawFeed, StoredFeed
from headstart.features.reading import Reader
from headstart.features.store import Rows
from headstart.model import Model
from headstart.progress import Progress
from headstart.training import Session, Splits, Training, predict, seed_everything, train

STRATEGY_SHARE = 0.4  # of a budget, by when the strategy must be done; the rest is scratch's
SEARCH_SHARE = 0.4  # of what is left then, for the scratch arm's search for a rate


@dataclass(frozen=True)
class Target:
    """What all arms share: the data and how to read them, the task, the machine, the time."""

    dataset: Dataset
    task: Task
    reader: Reader
    settings: Settings
    accelerator: Accelerator
    budget: Budget
    progress: Progress
    workspace: Path

    @property
    def labels(self) -> Sequence[str]:
        """The label names, in the order of the head's outputs."""
        return self.dataset.labels

    def raw(self, split: str, augmented: bool = False) -> RawFeed:
        """A split as items that are decoded in every epoch."""
        items, targets = self.dataset.split(split), self.dataset.targets(split)
        return RawFeed(items, targets, self.reader, augmented)

    def positions(self, split: str) -> np.ndarray:
        """Where a split's items stand among all items."""
        return np.flatnonzero([item.split == split for item in self.dataset.items])

    def recipe(self, strategy: Strategy, label: str) -> Recipe:
        """The policy's recipe for this much data, with what the user set."""
        count = len(self.dataset.split("train"))
        epochs = strategy.epochs(self.settings.epochs or defaults.epochs(count))
        return Recipe(
            label=label,
            epochs=epochs,
            patience=max(5, epochs // 3),
            batch=self.settings.batch or defaults.batch(count),
            rate=self.settings.rate or defaults.rate(strategy.starts_from_probe()),
        )

    def session(self, name: str, budget: Budget, last: bool = True) -> Session:
        """A training session with a checkpoint of its own; a last one leaves time to judge."""
        checkpoint = self.workspace / f"{name}.checkpoint"
        held_out, checked = (len(self.dataset.split(split)) for split in ("test", "validation"))
        after = 1.0 + (1.0 + held_out / checked if last else 0.0)  # validation, then both splits
        return Session(
            self.accelerator, self.settings.seed, budget, self.progress, checkpoint, after
        )


@dataclass
class Outcome:
    """An arm with the model it made."""

    arm: Arm
    model: Model
    training: Training = field(default_factory=Training)
    checks: dict[str, bool] = field(default_factory=dict)


def naive_arm(target: Target, features: Outcome) -> Outcome:
    """Always the commonest label: the same network under a head that ignores its input."""
    task, labels = target.task, target.labels
    constant = task.naive(target.dataset.targets("train"), labels)
    old = features.model.head
    head = nn.Linear(_width(old), len(labels))
    with torch.no_grad():
        head.weight.zero_()
        head.bias.copy_(torch.from_numpy(constant))
    outputs = {name: np.tile(constant, (len(target.dataset.split(name)), 1)) for name in _JUDGED}
    model = Model(dict(zip(features.model.names, features.model.stages, strict=True)), head)
    return Outcome(_arm(target, "naive", outputs, 0.0), model)


def features_arm(target: Target, backbone: Backbone) -> Outcome:
    """The backbone frozen, its features extracted once, under a probe."""
    started = time.monotonic()
    rows = _activations(target, backbone, len(backbone.stages))
    splits = {name: rows[target.positions(name)] for name in ("train", *_JUDGED)}
    examples = {
        name: (splits[name], target.dataset.targets(name)) for name in ("train", "validation")
    }
    seed_everything(target.settings.seed)
    target.progress.say("Fitting a probe on the frozen features.")
    head = target.task.probe(examples["train"], examples["validation"], target.labels)
    with torch.inference_mode():
        outputs = {name: head(torch.from_numpy(splits[name])).numpy() for name in _JUDGED}
    arm = _arm(target, "feature-extraction", outputs, time.monotonic() - started)
    return Outcome(arm, Model(backbone.stages, head))


def strategy_arm(
    target: Target, backbone: Backbone, strategy: Strategy, name: str, features: Outcome
) -> Outcome:
    """Train by a strategy, from the probe's head where the strategy says so.

    Training reads stored activations wherever that is legal; the arm is always judged on raw items.
    """
    started = time.monotonic()
    recipe = target.recipe(strategy, name)
    seed_everything(target.settings.seed)
    probe = strategy.starts_from_probe()
    head = copy.deepcopy(features.model.head) if probe else _new_head(target, backbone)
    model = Model(copy.deepcopy(dict(backbone.stages)), head)
    splits = _splits(target, backbone, strategy, recipe.epochs)
    training = Training()
    if recipe.epochs:
        share = STRATEGY_SHARE if target.settings.scratch else 1.0
        session = target.session("chosen", target.budget.until(share))
        training = train(model, target.task, strategy, splits, recipe, session)
    outputs = {split: predict(model, target.raw(split), target.accelerator) for split in _JUDGED}
    spent = time.monotonic() - started + (features.arm.seconds if probe else 0.0)
    note = "ended by the budget" if training.cut else ""
    arm = _arm(target, name, outputs, spent, steps=training.steps, note=note)
    frozen = storable(strategy, training.epochs, len(model.stages), augmented=False)
    checks = {"frozen stages are bit-identical": unchanged(model, backbone, frozen)}
    return Outcome(arm, model, training, checks)


def scratch_arm(
    target: Target, rebuild: Callable[[], Backbone], reference: Recipe
) -> tuple[Outcome, str]:
    """The same network from random weights, under a budget that is fair to it.

    Three rates are tried for a quarter of the reference's epochs each, and the best, by validation,
    trains for twice the reference's epochs without early stopping (protocol after Kornblith et al.
    2019, who double the steps and search its own rates). Answers with a sentence that says what was
    done.
    """
    started = time.monotonic()
    left = target.budget.until(1.0)
    epochs = defaults.SCRATCH_MORE_STEPS * reference.epochs
    search = max(1, reference.epochs // 4)
    strategy = _Everything()
    tried: list[tuple[tuple[float, float], float, int]] = []
    for position, rate in enumerate(defaults.SCRATCH_RATES):
        searched = (position + 1) / len(defaults.SCRATCH_RATES) * SEARCH_SHARE
        label = f"scratch at {rate:g} (rate search)"
        recipe = replace(reference, label=label, epochs=search, rate=rate, patience=search)
        session = target.session(f"scratch-{position}", left.until(searched), last=False)
        _, training = _from_scratch(target, rebuild, strategy, recipe, session)
        tried.append((training.merit(training.best), rate, training.steps))
    rate = max(tried)[1]
    recipe = replace(reference, label="scratch", epochs=epochs, rate=rate, patience=epochs)
    session = target.session("scratch", left)
    model, training = _from_scratch(target, rebuild, strategy, recipe, session)
    outputs = {split: predict(model, target.raw(split), target.accelerator) for split in _JUDGED}
    rates = ", ".join(f"{value:g}" for value in defaults.SCRATCH_RATES)
    said = (
        f"Scratch: rates {rates} tried for {' / '.join(str(entry[2]) for entry in tried)} steps, "
        f"the best ({rate:g}) trained for {training.steps} steps."
    )
    if training.cut:
        said += " It was ended by the budget, so the gain is an upper bound."
    spent = time.monotonic() - started
    arm = _arm(target, "scratch", outputs, spent, steps=training.steps)
    return Outcome(arm, model, training), said


def unchanged(model: Model, backbone: Backbone, frozen: int) -> bool:
    """Whether the first `frozen` stages equal the backbone's bit for bit, buffers too."""
    for trained, given in zip(list(model.stages)[:frozen], backbone.stages.values(), strict=False):
        state = given.state_dict()
        for name, tensor in trained.state_dict().items():
            if not torch.equal(tensor.cpu(), state[name].cpu()):
                return False
    return True


_JUDGED = ("validation", "test")


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
    model = Model(backbone.stages, _new_head(target, backbone))
    augmented = target.settings.augment != "no"
    splits = Splits(target.raw("train", augmented), target.raw("validation"))
    return model, train(model, target.task, strategy, splits, recipe, session)


def _splits(target: Target, backbone: Backbone, strategy: Strategy, epochs: int) -> Splits:
    """Stored activations at the last legal boundary, or raw items where there is none."""
    stages = len(backbone.stages)
    forced = target.settings.augment == "yes"
    boundary = storable(strategy, epochs, stages, augmented=forced)
    prefix = Prefix(backbone, boundary, target.accelerator.device)
    wanted = boundary > 0 and target.settings.cache
    if wanted and fits_on_disk(prefix, target.dataset.items, target.reader):
        rows = _activations(target, backbone, boundary)
        feeds = [_stored(target, rows, split, boundary) for split in ("train", "validation")]
        return Splits(*feeds)
    augmented = forced or (target.settings.augment == "auto" and boundary == 0)
    return Splits(target.raw("train", augmented), target.raw("validation"))


def _stored(target: Target, rows: Rows, split: str, boundary: int) -> Feed:
    return StoredFeed(rows, target.positions(split), target.dataset.targets(split), boundary)


def _activations(target: Target, backbone: Backbone, boundary: int) -> Rows:
    prefix = Prefix(backbone, boundary, target.accelerator.device)
    return extract(prefix, target.dataset.items, target.reader, target.progress)


def _new_head(target: Target, backbone: Backbone) -> nn.Module:
    return target.task.head(backbone.feature_dim, target.labels)


def _width(head: nn.Module) -> int:
    return int(next(head.parameters()).shape[-1])


def _arm(
    target: Target,
    name: str,
    outputs: dict[str, np.ndarray],
    seconds: float,
    steps: int = 0,
    note: str = "",
) -> Arm:
    task = target.task
    truth = {split: target.dataset.targets(split) for split in _JUDGED}
    score = float(task.scores(outputs["validation"], truth["validation"]).mean())
    loss = float(task.losses(outputs["validation"], truth["validation"]).mean())
    scores = task.scores(outputs["test"], truth["test"])
    return Arm(name, scores, (score, -loss), seconds, steps, note)
