"""The one training loop: any model, task and strategy, on raw items or stored activations."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import closing, nullcontext
from dataclasses import asdict
from itertools import cycle
from math import cos, isfinite, pi
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from headstart.contracts import Batch, Strategy, Task
from headstart.contracts.model import Model
from headstart.defaults import Recipe
from headstart.errors import HeadstartError
from headstart.features.engine import on_device, to_device
from headstart.features.loaders import Feed
from headstart.features.reading import View, in_order
from headstart.runtime.checkpoints import load_checkpoint, save_checkpoint
from headstart.training.convolutions import SoundGradients
from headstart.training.groups import groups
from headstart.training.memory import demand_parts, out_of_memory
from headstart.training.moving import Moving, fixed_in
from headstart.training.optimiser import EagerAdamW
from headstart.training.record import Session, Splits, Training, seed_everything
from headstart.training.single import alone
from headstart.training.unlabelled import endless, pass_through

CHECKPOINT_EVERY = 5.0  # seconds between checkpoints, at epoch ends
_JUDGED = 32  # items at a time


def predict(
    model: Model, feed: Feed, accelerator: Accelerator, *, quick: bool = False
) -> np.ndarray:
    """Head outputs for every item of a feed, in its order, float32. Shape (N, labels).

    Computed in fp32, as a saved model is used; if `quick`, in the precision of training.
    """
    on_device(model.eval(), accelerator.device)
    groups, outputs = [], []
    with torch.inference_mode(), accelerator.autocast() if quick else nullcontext():
        for positions, batch in feed.evaluation_batches(_JUDGED):
            inputs = to_device(batch.inputs, accelerator.device)
            outputs.append(model(inputs, start=batch.start).float().cpu().numpy())
            groups.append(positions)
    return in_order(groups, outputs)


def train(
    model: Model, task: Task, strategy: Strategy, splits: Splits, recipe: Recipe, session: Session
) -> Training:
    """Train a model and leave it with the weights of its best epoch on validation.

    Of epochs that validation can't tell apart that is the latest, where the task says so.

    What `strategy.prepare` leaves without a gradient is never trained, and is not kept apart.
    Ends early when `recipe.patience` epochs bring nothing, when it is hopeless, when its numbers
    are no longer finite, and after the step in which the budget ends. A batch of one item, the last
    of an epoch, is left out where a BatchNorm can't normalise it. With a checkpoint path it goes on
    where an earlier run of the same settings was killed. Raises HeadstartError where no batch can
    be trained on, and where outputs are not finite before any step.
    """
    return _Run(model, task, strategy, splits, recipe, session).train()


class _Run:
    def __init__(
        self,
        model: Model,
        task: Task,
        strategy: Strategy,
        splits: Splits,
        recipe: Recipe,
        session: Session,
    ) -> None:
        self.model, self.task, self.strategy = model, task, strategy
        self.splits, self.recipe, self.session = splits, recipe, session
        self.record = Training()
        self.kept: dict[str, Tensor] = {}
        self.parts = 1  # micro-batches a step, doubled when memory runs out
        self.earlier = 0.0
        self.judged_in = 0.0  # seconds that the last pass over validation took

    def train(self) -> Training:
        """Run all epochs."""
        self.model.requires_grad_(True)
        seed_everything(self.session.seed)  # what prepare adds is drawn alike in every run
        self.strategy.on_train_start(self.model)
        start = self.splits.train.start
        self.moving = Moving(self.model, self.strategy, start, fixed_in(self.model))
        self.fixed = self.moving.fixed_digest()
        on_device(self.model, self.session.accelerator.device)
        self.moving.to(self.session.accelerator.device)
        fused = self.session.accelerator.device.type in ("cpu", "cuda")
        parameter_groups = groups(self.model, self.strategy, self.moving.own(), self.recipe)
        self.optimizer = EagerAdamW(parameter_groups, lr=self.recipe.learning_rate, fused=fused)
        first = self._resume()
        started = last_save = time.monotonic()
        total = (self.recipe.epochs - first) * self._steps_per_epoch()
        with self.session.progress.track(self.recipe.label, total) as advance:
            for epoch in range(first, self.recipe.epochs):
                if self.record.finished:
                    break
                if not self.record.history:
                    self._judge(0.0)  # a head that was fitted before may be the best there is
                loss = self._epoch(epoch, advance)
                self.record.seconds = self.earlier + time.monotonic() - started
                if not self.record.diverged:
                    self._judge(loss)
                if time.monotonic() - last_save > CHECKPOINT_EVERY or self.record.finished:
                    self._save(epoch)
                    last_save = time.monotonic()
        self._restore()
        self.record.tell(self.recipe, self.session.progress)
        return self.record

    def _epoch(self, epoch: int, advance: Any) -> float:
        # so that a resumed epoch draws the same
        seed_everything(self.session.seed * 10_007 + epoch)
        self.moving.start_epoch(epoch)
        order = torch.randperm(len(self.splits.train)).numpy()
        losses = []
        view = View(self.session.seed, epoch)
        with closing(self._unlabelled(epoch)) as unlabelled:
            for batch in self.splits.train.batches(order, self.recipe.batch_size, view):
                if alone(batch, self.model):
                    continue
                losses.append(self._step(batch, next(unlabelled, None)))
                self.record.steps += 1
                advance(1)
                if not isfinite(losses[-1]):
                    self.record.diverged = self.record.finished = True
                    break
                if self._is_over():
                    self.record.cut = self.record.finished = True
                    break
        if not losses:
            raise HeadstartError(
                f"{self.recipe.label} has nothing to train on: a BatchNorm needs more than one "
                "item a step. Give --batch-size 2 or more."
            )
        return float(np.mean(losses))

    def _unlabelled(self, epoch: int) -> Generator[Batch, None, None]:
        """A batch for each step, where the strategy wants one."""
        if not self.strategy.wants_unlabelled:
            return
        feed = self.splits.unlabelled
        if feed is None:
            raise HeadstartError(
                f"{self.recipe.label} also learns from unlabelled items, and there are none. "
                "Name a strategy that needs none."
            )
        yield from endless(feed, self.recipe.batch_size, self.session.seed, epoch, self.model)

    def _is_over(self) -> bool:
        """Whether the budget, or the pace of an earlier run, ends the training here."""
        if self.session.pace:
            return self.record.steps >= len(self.session.pace)
        return self.session.budget.left() <= self.judged_in * self.session.judging

    def _step(self, batch: Batch, unlabelled: Batch | None) -> float:
        factor, size = self._factor(), len(batch.targets)
        for group in self.optimizer.param_groups:
            group["lr"] = group["base"] * factor
        while True:
            self.optimizer.zero_grad(set_to_none=True)
            try:
                parts = self._parts(batch)
                others = cycle(self._parts(unlabelled) if unlabelled else [None])
                loss = sum(
                    self._backward(each, next(others), len(each.targets) / size) for each in parts
                )
            except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
                if not out_of_memory(error) or self.parts >= size:
                    raise
                self.parts *= 2
                self.session.progress.warn(
                    f"Out of memory at {size} items a step; "
                    f"trying {-(-size // self.parts)} at a time."
                )
                continue
            moved = [*self.model.parameters(), *self.moving.own()]
            nn.utils.clip_grad_norm_(moved, self.recipe.clip)
            self.optimizer.step()
            return float(loss)

    def _parts(self, batch: Batch) -> list[Batch]:
        return demand_parts(batch, self.parts, self.model, self.recipe.label)

    def _backward(self, batch: Batch, unlabelled: Batch | None, share: float) -> float:
        with self.session.accelerator.autocast(), SoundGradients():
            step = self.task.step(self.model, self._here(batch))
            if unlabelled is None:
                loss = self.strategy.loss(step) * share
            else:
                other = pass_through(self.model, self._here(unlabelled))
                loss = self.strategy.loss(step, other) * share
        self.session.accelerator.backward(loss)
        return float(loss.detach())

    def _here(self, batch: Batch) -> Batch:
        device = self.session.accelerator.device
        return Batch(to_device(batch.inputs, device), batch.targets.to(device), batch.start)

    def _factor(self) -> float:
        """Warm-up, then a cosine to zero over the steps or the budget, whichever ends sooner."""
        total = self.recipe.epochs * self._steps_per_epoch()
        record, session = self.record, self.session
        done = min(1.0, max(record.steps / total, session.budget.spent()))
        if session.pace:
            done = session.pace[min(record.steps, len(session.pace) - 1)]
        if session.pace or session.budget.limited:
            record.pace.append(done)
        warm = min(1.0, (done * total + 1) / (self.recipe.warmup * total + 1))
        return warm * 0.5 * (1 + cos(pi * done))

    def _steps_per_epoch(self) -> int:
        return -(-len(self.splits.train) // self.recipe.batch_size)

    def _judge(self, loss: float) -> None:
        began = time.monotonic()
        self.moving.eval()
        feed, accelerator = self.splits.validation, self.session.accelerator
        with self.task.hurried(self.model.head):
            outputs = predict(self.model, feed, accelerator, quick=True)
        self.judged_in = time.monotonic() - began
        targets = self.splits.validation.targets
        record = self.record
        if not np.isfinite(outputs).all():
            self._diverge()
            return
        scores = self.task.scores(outputs, targets)
        row = {
            "steps": float(record.steps),
            "seconds": record.seconds,
            "loss": loss,
            "score": float(scores.mean()),
            "validation_loss": float(self.task.losses(outputs, targets).mean()),
        }
        record.history.append(row)
        self.session.progress.row(self.recipe.label, row)
        if record.keeps(len(record.history) - 1, scores, self.task.takes_latest):
            self.kept = self.moving.copied()
        record.conclude(self.recipe, self.session, outputs, latest=self.task.takes_latest)

    def _diverge(self) -> None:
        """End here, or before the first step: there is then no better network to go back to."""
        if not self.record.history:
            raise HeadstartError(
                f"What the network answers before {self.recipe.label} is not finite. "
                "Name other weights, or give --precision fp32."
            )
        self.record.diverged = self.record.finished = True

    def _restore(self) -> None:
        if self.kept:
            self.moving.load(self.kept)
        self.record.intact = self.moving.fixed_digest() == self.fixed
        self.strategy.on_train_end(self.model)
        self.model.requires_grad_(True)
        self.model.eval()

    def _save(self, epoch: int) -> None:
        if self.session.checkpoint is not None:
            state = {
                "model": dict(self.moving.tensors()),
                "optimizer": self.optimizer.state_dict(),
                "kept": self.kept,
                "record": vars(self.record),
                "epoch": epoch,
                "parts": self.parts,
                "recipe": asdict(self.recipe),
            }
            save_checkpoint(self.session.checkpoint, state)

    def _resume(self) -> int:
        path = self.session.checkpoint
        state = load_checkpoint(path) if path is not None else None
        if state is None or state.get("recipe", {}) != asdict(self.recipe):
            return 0
        self.moving.load(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.kept, self.parts = state["kept"], state["parts"]
        self.record = Training(**state["record"])
        self.earlier = self.record.seconds
        for row in self.record.history:
            self.session.progress.row(self.recipe.label, row)
        self.session.progress.say(
            f"Going on after epoch {state['epoch'] + 1} of {self.recipe.label}."
        )
        return int(state["epoch"]) + 1
