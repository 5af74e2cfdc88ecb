"""The one training loop: any model, task and strategy, on raw items or stored activations."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import nullcontext
from math import cos, pi
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from headstart.checkpoints import load_checkpoint, save_checkpoint
from headstart.contracts import Batch, Strategy, Task
from headstart.defaults import Recipe
from headstart.features.engine import on_device, part, to_device
from headstart.features.feed import Feed
from headstart.features.reading import View, in_order
from headstart.model import Model
from headstart.training.convolutions import SoundGradients
from headstart.training.record import Session, Splits, Training, seed_everything

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
        for positions, batch in feed.judged(_JUDGED):
            inputs = to_device(batch.inputs, accelerator.device)
            outputs.append(model(inputs, start=batch.start).float().cpu().numpy())
            groups.append(positions)
    return in_order(groups, outputs)


def train(
    model: Model, task: Task, strategy: Strategy, splits: Splits, recipe: Recipe, session: Session
) -> Training:
    """Train a model and leave it with the weights of its best epoch on validation.

    What `strategy.prepare` leaves without a gradient is never trained, and is not kept apart.
    Ends early when `recipe.patience` epochs bring nothing, when it is hopeless, and after the step
    in which the budget ends. With a checkpoint path it goes on where an earlier run of the same
    settings was killed.
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
        self.strategy.prepare(self.model)
        self.fixed = {name for name, p in self.model.named_parameters() if not p.requires_grad}
        on_device(self.model, self.session.accelerator.device)
        fused = self.session.accelerator.device.type in ("cpu", "cuda")
        self.optimizer = torch.optim.AdamW(self._groups(), lr=self.recipe.rate, fused=fused)
        first = self._resume()
        started = saved = time.monotonic()
        total = (self.recipe.epochs - first) * self._steps_per_epoch()
        with self.session.progress.track(self.recipe.label, total) as advance:
            for epoch in range(first, self.recipe.epochs):
                if self.record.finished:
                    break
                if not self.record.history:
                    self._judge(0.0)  # a head that was fitted before may be the best there is
                loss = self._epoch(epoch, advance)
                self.record.seconds = self.earlier + time.monotonic() - started
                self._judge(loss)
                if time.monotonic() - saved > CHECKPOINT_EVERY or self.record.finished:
                    self._save(epoch)
                    saved = time.monotonic()
        self._restore()
        self._tell()
        return self.record

    def _tell(self) -> None:
        record = self.record
        best = record.history[record.best]
        self.session.progress.say(
            f"{self.recipe.label}: {best['score']:.3f} on validation after "
            f"{best['steps']:.0f} of {record.steps} steps, in {record.seconds:.0f} s."
        )

    def _groups(self) -> list[dict[str, Any]]:
        """Every parameter in a fixed order from the start; unfreezing never rebuilds a group."""
        stages = len(self.model.stages)
        modules = [*self.model.stages, self.model.head]
        groups = []
        for position, module in enumerate(modules):
            rate = self.recipe.rate * self.strategy.rate(position, stages)
            for decays in (True, False):
                found = [p for p in module.parameters() if (p.dim() > 1) == decays]
                decay = self.recipe.weight_decay if decays else 0.0
                groups.append({"params": found, "lr": rate, "base": rate, "weight_decay": decay})
        extra = list(self.strategy.parameters())
        rate = self.recipe.rate
        groups.append({"params": extra, "lr": rate, "base": rate, "weight_decay": 0.0})
        return [group for group in groups if group["params"]]

    def _epoch(self, epoch: int, advance: Any) -> float:
        seed_everything(
            self.session.seed * 10_007 + epoch
        )  # so that a resumed epoch draws the same
        self.model.train()
        self.strategy.epoch_started(epoch, self.model)
        order = torch.randperm(len(self.splits.train)).numpy()
        losses = []
        view = View(self.session.seed, epoch)
        for batch in self.splits.train.batches(order, self.recipe.batch, view):
            if len(batch.targets) == 1 and len(order) > 1:
                continue  # BatchNorm can't normalise a batch of one
            losses.append(self._step(batch, len(batch.targets)))
            self.record.steps += 1
            advance(1)
            if self._is_over():
                self.record.cut = self.record.finished = True
                break
        return float(np.mean(losses)) if losses else float("nan")

    def _is_over(self) -> bool:
        """Whether the budget, or the pace of an earlier run, ends the training here."""
        if self.session.pace:
            return self.record.steps >= len(self.session.pace)
        return self.session.budget.left() <= self.judged_in * self.session.judging

    def _step(self, batch: Batch, size: int) -> float:
        factor = self._factor()
        for group in self.optimizer.param_groups:
            group["lr"] = group["base"] * factor
        while True:
            self.optimizer.zero_grad(set_to_none=True)
            try:
                loss = sum(
                    self._backward(part, len(part.targets) / size) for part in self._split(batch)
                )
            except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
                if not _out_of_memory(error) or self.parts >= size:
                    raise
                self.parts *= 2
                self.session.progress.warn(
                    f"Out of memory at {size} items a step; "
                    f"trying {-(-size // self.parts)} at a time."
                )
                continue
            nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip)
            self.optimizer.step()
            return float(loss)

    def _backward(self, batch: Batch, share: float) -> float:
        accelerator = self.session.accelerator
        inputs = to_device(batch.inputs, accelerator.device)
        moved = Batch(inputs, batch.targets.to(accelerator.device), batch.start)
        with accelerator.autocast(), SoundGradients():
            step = self.task.step(self.model, moved)
            loss = self.strategy.loss(step) * share
        accelerator.backward(loss)
        return float(loss.detach())

    def _split(self, batch: Batch) -> Iterator[Batch]:
        if self.parts == 1:
            yield batch
            return
        size = -(-len(batch.targets) // self.parts)
        for start in range(0, len(batch.targets), size):
            inputs = part(batch.inputs, start, start + size)
            yield Batch(inputs, batch.targets[start : start + size], batch.start)

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
        return -(-len(self.splits.train) // self.recipe.batch)

    def _judge(self, loss: float) -> None:
        began = time.monotonic()
        outputs = predict(self.model, self.splits.validation, self.session.accelerator, quick=True)
        self.judged_in = time.monotonic() - began
        targets = self.splits.validation.targets
        record = self.record
        row = {
            "steps": float(record.steps),
            "seconds": record.seconds,
            "loss": loss,
            "score": float(self.task.scores(outputs, targets).mean()),
            "validation_loss": float(self.task.losses(outputs, targets).mean()),
        }
        record.history.append(row)
        self.session.progress.row(self.recipe.label, row)
        last = len(record.history) - 1
        if record.best < 0 or record.merit(last) > record.merit(record.best):
            record.best = last
            self.kept = {name: tensor.detach().cpu().clone() for name, tensor in self._moving()}
        waited_out = last - record.best >= self.recipe.patience
        if waited_out or record.epochs >= self.recipe.epochs:
            record.finished = True
        elif 3 * record.epochs >= self.recipe.epochs:
            hopeless = record.history[record.best]["score"] < self.session.hopeless
            record.given_up = hopeless
            record.finished |= hopeless

    def _moving(self) -> Iterator[tuple[str, Tensor]]:
        """Tensors of the stages that are ever trained, but for what is fixed, and the head."""
        start = self.splits.train.start
        for name, tensor in self.model.state_dict().items():
            if name in self.fixed:
                continue
            kind, _, rest = name.partition(".")
            if kind == "head" or int(rest.partition(".")[0]) >= start:
                yield name, tensor

    def _restore(self) -> None:
        if self.kept:
            self.model.load_state_dict(self.kept, strict=False)
        self.strategy.trained(self.model)
        self.model.requires_grad_(True)
        self.model.eval()

    def _save(self, epoch: int) -> None:
        if self.session.checkpoint is not None:
            state = {
                "model": dict(self._moving()),
                "optimizer": self.optimizer.state_dict(),
                "kept": self.kept,
                "record": vars(self.record),
                "epoch": epoch,
                "parts": self.parts,
            }
            save_checkpoint(self.session.checkpoint, state)

    def _resume(self) -> int:
        path = self.session.checkpoint
        state = load_checkpoint(path) if path is not None else None
        if state is None:
            return 0
        self.model.load_state_dict(state["model"], strict=False)
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


def _out_of_memory(error: BaseException) -> bool:
    words = ("out of memory", "not enough memory", "can't allocate memory")
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(
        word in str(error).lower() for word in words
    )
