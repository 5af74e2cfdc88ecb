"""Tasks that answer with texts, as a head writes them from all states of the network."""

from __future__ import annotations

import copy
from abc import ABC
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from headstart.contracts.backbone import Backbone
from headstart.contracts.sequences import decoded, widened
from headstart.contracts.task import Task

if TYPE_CHECKING:  # so that a saved model is described without torch
    from torch import nn

    from headstart.contracts.model import Batch, Model, Step


class Writing(Task, ABC):
    """A text for each item. Outputs and targets are rows of code points (N, W).

    `writer` is the head as it begins: called with states it answers such rows, and it has
    `loss(states, texts)`; `longest` is how many characters an answer may have.
    """

    kind: ClassVar[str] = "sequences"
    has_probe: ClassVar[bool] = False
    reads_maps: ClassVar[bool] = True
    passes: int = 3
    longest: ClassVar[int] = 1024

    writer: nn.Module | None

    def output_dim(self, labels: Sequence[str]) -> int:
        """The code points of the longest answer."""
        return self.longest

    def head(self, feature_dim: int, labels: Sequence[str]) -> nn.Module:
        """What writes, as it was pretrained where it was."""
        if self.writer is None:
            raise NotImplementedError("what writes is known with the backbone")
        return copy.deepcopy(self.writer)

    def step(self, model: Model, batch: Batch) -> Step:
        """One forward pass with the head's loss for the right texts."""
        from headstart.contracts.model import Step

        states = model.features(batch.inputs, batch.start)
        head: Any = model.head
        loss = head.loss(states, decoded(batch.targets.cpu().numpy()))
        return Step(loss[None], loss, states["hidden"].mean(1), batch.targets)

    def lengths(self, targets: np.ndarray) -> np.ndarray:
        """Code points of each text."""
        return np.asarray((targets > 0).sum(1))

    @contextmanager
    def hurried(self, head: nn.Module) -> Iterator[None]:
        """Without beams."""
        writer: Any = head
        writer.hurried = True
        try:
            yield
        finally:
            writer.hurried = False

    def naive(self, targets: np.ndarray, labels: Sequence[str]) -> np.ndarray:
        """The commonest text of all."""
        rows, counts = np.unique(targets, axis=0, return_counts=True)
        common = widened(rows[[counts.argmax()]], self.longest)
        return np.asarray(common[0], dtype=np.float32)

    def losses(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """What each answer lacks of a right one, (N,), by what it is judged by."""
        best = 0.0 if self.sign < 0 else 1.0
        return np.asarray(best - self.scores(outputs, targets))

    def decode(self, outputs: np.ndarray, labels: Sequence[str]) -> list[dict[str, Any]]:
        """The texts."""
        return [{"text": text} for text in decoded(outputs)]


def unpooled(backbone: Backbone, again: Callable[[Backbone], Backbone]) -> Backbone:
    """The same network without its pooling, whose states a head reads; `again` does so to others"""
    from torch import nn

    earlier = backbone.for_task

    def for_task(other: Backbone) -> Backbone:
        return again(earlier(other) if earlier else other)

    stages, pool = backbone.unpooled(), backbone.pool
    return replace(backbone, stages=stages, pool=nn.Identity(), summary=pool, for_task=for_task)
