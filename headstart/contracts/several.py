"""Several tasks on the same features as one: outputs side by side, each decoded by its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast, final

import numpy as np

from headstart.contracts.task import Array, Examples, Labels, Task

if TYPE_CHECKING:  # so that a saved model answers without torch
    from torch import nn

    from headstart.contracts.model import Batch, Model, Step

EACH = "tasks"  # the entry of an answer that holds those of each task, by name


@final
@dataclass(frozen=True)
class Part:
    """One of several tasks with its labels.

    `numbered` says that its targets are numbers of classes, one an item; `unit` is the naive
    model's loss, by which its own is divided before losses are added.
    """

    task: Task
    labels: Labels
    numbered: bool = True
    unit: float = 1.0

    @property
    def width(self) -> int:
        """The columns of its targets."""
        return 1 if self.numbered else len(self.labels)


@final
class Several(Task):
    """Tasks by name, in order. Outputs (N, all labels) and targets (N, all columns) are theirs.

    A target is not a number where an item has none of a task: it then adds nothing to its loss.
    Losses are divided by the naive model's, so that tasks count alike whatever their units, and
    all have the same weight, which tuned ones hardly beat (Kurin et al. 2022, In Defense of the
    Unitary Scalarization for Deep Multi-Task Learning); with `uncertain` weights are learned with
    the heads (Kendall et al. 2018, Multi-Task Learning Using Uncertainty to Weigh Losses).
    """

    kind: ClassVar[str] = "several tasks"

    def __init__(self, parts: Mapping[str, Part], uncertain: bool = False) -> None:
        self.parts = parts
        self.uncertain = uncertain

    @property
    def cross_validates(self) -> bool:  # type: ignore[override]  # of these parts
        """Whether no part's probe looks at validation."""
        return all(part.task.cross_validates for part in self.parts.values())

    def outputs_of(self, outputs: Array) -> dict[str, Array]:
        """Each task's own columns of outputs (N, all labels)."""
        ends = np.cumsum([len(part.labels) for part in self.parts.values()])[:-1]
        return dict(zip(self.parts, np.split(outputs, ends, axis=1), strict=True))

    def targets_of(self, targets: Array) -> dict[str, tuple[Array, Array]]:
        """For each task which items (N,) have a target, and those as it takes them."""
        ends = np.cumsum([part.width for part in self.parts.values()])[:-1]
        columns = np.split(targets, ends, axis=1)
        each = {}
        for (name, part), own in zip(self.parts.items(), columns, strict=True):
            there = ~np.isnan(own).any(axis=1)
            labelled = own[there]
            each[name] = there, labelled[:, 0].astype(np.int64) if part.numbered else labelled
        return each

    def head(self, feature_dim: int, labels: Labels) -> nn.Module:
        """The tasks' own heads, side by side."""
        from headstart.contracts.model import SideBySide

        heads = [part.task.head(feature_dim, part.labels) for part in self.parts.values()]
        return SideBySide(heads, self.uncertain)

    def probe(self, train: Examples, validation: Examples, labels: Labels) -> nn.Module:
        """The tasks' own probes, each fitted to the items that have a target of it."""
        from headstart.contracts.model import SideBySide

        by_task, checked = (self.targets_of(targets) for _, targets in (train, validation))
        heads = []
        for name, part in self.parts.items():
            (there, own), (later, other) = by_task[name], checked[name]
            examples = (train[0][there], own), (validation[0][later], other)
            heads.append(part.task.probe(*examples, part.labels))
        return SideBySide(heads, self.uncertain)

    def step(self, model: Model, batch: Batch) -> Step:
        """One forward pass over a batch, with the mean of the tasks' losses in their units."""
        import torch

        from headstart.contracts.model import Batch, Model, SideBySide, Step

        features = model.features(batch.inputs, batch.start)
        by_task = self.targets_of(batch.targets.cpu().numpy())
        losses = []
        for (name, part), head in zip(self.parts.items(), model.head.children(), strict=True):
            there, targets = (torch.from_numpy(each).to(features.device) for each in by_task[name])
            if not there.any():
                losses.append(features.sum() * 0.0)
                continue
            own = Batch(features[there], targets, start=1)
            losses.append(part.task.step(Model({}, head), own).loss / part.unit)
        loss = cast(SideBySide, model.head).weighed(torch.stack(losses))
        return Step(model.head(features), loss, features, batch.targets)

    def naive(self, targets: Array, labels: Labels) -> Array:
        """Each task's own, side by side."""
        by_task = self.targets_of(targets)
        return np.concatenate(
            [part.task.naive(by_task[name][1], part.labels) for name, part in self.parts.items()]
        )

    def losses(self, outputs: Array, targets: Array) -> Array:
        """The mean over the tasks of which an item has a target, in their units. Shape (N,)."""
        total, count = np.zeros(len(outputs)), np.zeros(len(outputs))
        by_task, each = self.targets_of(targets), self.outputs_of(outputs)
        for name, part in self.parts.items():
            there, own = by_task[name]
            total[there] += part.task.losses(each[name][there], own) / part.unit
            count += there
        return total / np.maximum(count, 1)

    def scores(self, outputs: Array, targets: Array) -> Array:
        """How much less each item's loss is than the naive model's, as a share of it."""
        return 1.0 - self.losses(outputs, targets)

    def decode(self, outputs: Array, labels: Labels) -> list[dict[str, Any]]:
        """`tasks`: the answer of each, by name."""
        each = self.outputs_of(outputs)
        rows = [part.task.decode(each[name], part.labels) for name, part in self.parts.items()]
        return [{EACH: dict(zip(self.parts, row, strict=True))} for row in zip(*rows, strict=True)]
