"""A kind of answer: the head, one training step, the scores, and how answers are shown."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from headstart.contracts.backbone import Backbone
from headstart.contracts.entry_points import located
from headstart.contracts.metric import Metric
from headstart.contracts.rehearsal import Rehearsal
from headstart.contracts.task_hooks import Answered as Answered
from headstart.contracts.task_hooks import TaskHooks
from headstart.errors import HeadstartError

if TYPE_CHECKING:  # so that a saved model answers without torch
    from torch import nn

    from headstart.contracts.frozen import LinearHead
    from headstart.contracts.model import Batch, Model, Step

Labels = Sequence[str]
Array = np.ndarray
Examples = tuple[Array, Array]  # features (N, D) float32 and targets (N,) or (N, outputs)


class Task(TaskHooks, ABC):
    """A kind of answer. It owns the step, because some networks compute their loss inside.

    `own_metric` is the `module:Class` of what it is judged by where the user names none, or it has
    a `metric`, the name of what the mean of its own `scores` is; `measure` counts before both.
    `kind` is the kind of its targets; `cross_validates` says that `probe` does not look at
    validation, `has_probe` that there is one. Without one nothing is answered from frozen features
    alone: that arm and the curve over labels are left out, and strategies begin with an untrained
    head, an arm where it has a name as `untrained`; `ladder` are those tried in turn, each after
    its `rehearsal`, of which no dear one once answers are good `enough`. A head that `reads_maps`
    takes maps or states by name. `views` and `learning_rate` are the usual ones, `passes` how many
    times the usual epochs. Where it `takes_latest`, the latest of the epochs that validation can't
    tell apart is kept.
    """

    own_metric: ClassVar[str] = ""
    measure: Metric | None = None
    kind: ClassVar[str] = "classes"
    cross_validates: ClassVar[bool] = False
    has_probe: ClassVar[bool] = True
    reads_maps: ClassVar[bool] = False
    untrained: str = ""
    views: ClassVar[int] = 0
    passes: int = 1
    takes_latest: ClassVar[bool] = False
    learning_rate: float | None = None
    ladder: ClassVar[tuple[str, ...]] = ()
    rehearsal: ClassVar[Rehearsal | None] = None

    def backbone(self, backbone: Backbone) -> Backbone:
        """The backbone as this task reads it; called once on each that is loaded."""
        return backbone

    def output_dim(self, labels: Labels) -> int:
        """How many numbers its outputs hold for an item."""
        return len(labels)

    def for_backbone(self, backbone: Backbone) -> Task:
        """The same task as it answers with this backbone; called once, before `head`."""
        return self

    @abstractmethod
    def head(self, feature_dim: int, labels: Labels) -> nn.Module:
        """An untrained head from features (N, feature_dim) to outputs (N, labels)."""

    @abstractmethod
    def step(self, model: Model, batch: Batch) -> Step:
        """One forward pass with its loss."""

    def probe(self, train: Examples, validation: Examples, labels: Labels) -> nn.Module:
        """A head fitted on frozen features; raises HeadstartError where the task has none."""
        raise HeadstartError(
            f"{type(self).__name__} has no probe, so frozen features alone can't answer. "
            "Name a strategy that trains."
        )

    def linear_probe(
        self, train: Examples, validation: Examples, labels: Labels
    ) -> nn.Module | LinearHead:
        """The same, as arrays where it is one linear layer that is made without torch."""
        return self.probe(train, validation, labels)

    @abstractmethod
    def naive(self, targets: Array, labels: Labels) -> Array:
        """The one output (labels,) that is best for any input, from training targets (N,)."""

    def judged_by(self) -> Metric | None:
        """The metric that judges it; None where it has scores of its own."""
        if self.measure is not None or not self.own_metric:
            return self.measure
        metric: Metric = located(self.own_metric)()
        return metric

    @property
    def metric(self) -> str:
        """The name of what it is judged by."""
        metric = self.judged_by()
        return metric.name if metric else type(self).__name__

    @property
    def sign(self) -> int:
        """What makes the mean of scores the metric's value again: -1 where less is better."""
        metric = self.judged_by()
        return -1 if metric and metric.less_is_better else 1

    def predictions(self, outputs: Array) -> Array:
        """What metrics judge, from outputs (N, labels): probabilities, or numbers as users know."""
        return outputs

    def scores(self, outputs: Array, targets: Array) -> Array:
        """How right each of the outputs (N, labels) is, (N,); more is better."""
        metric = self.judged_by()
        if metric is None:
            raise NotImplementedError(f"{type(self).__name__} names no metric and has no scores")
        return metric.scores(self.predictions(outputs), targets)

    @abstractmethod
    def losses(self, outputs: Array, targets: Array) -> Array:
        """How wrong each of the outputs (N, labels) is, (N,), as training sees it."""

    @abstractmethod
    def decode(self, outputs: Array, labels: Labels) -> list[dict[str, Any]]:
        """An answer for each of the outputs (N, labels), as JSON."""
