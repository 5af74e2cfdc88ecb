"""Translation: a text for a text, as a decoder writes it."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast, final

import numpy as np

from headstart.contracts import Backbone, Task
from headstart.contracts.frozen import is_native
from headstart.contracts.sequences import decoded, widened
from headstart.errors import HeadstartError

if TYPE_CHECKING:  # so that a saved model is described without torch
    from torch import nn

    from headstart.contracts.model import Batch, Model, Step
    from headstart.loading.sequences.writer import Writer

_UNTRAINED, _TRAINED, _NARROW = 2e-3, 1.5e-3, 96  # rates, the second one's up to this width
_JOINT: Final = "joint"
_WIDTH: Final = 1024  # characters of an answer


@final
class Translation(Task):
    """A text for each item, written piece by piece, judged by chrF.

    Outputs and targets are rows of code points (N, W), as `contracts.sequences` has them.
    """

    own_metric: ClassVar[str] = "headstart.metrics.translation:ChrF"
    kind: ClassVar[str] = "sequences"
    has_probe: ClassVar[bool] = False
    reads_maps: ClassVar[bool] = True
    passes: ClassVar[int] = 3

    def __init__(self, writer: Writer | None = None) -> None:
        self.writer = writer

    def prepared(
        self, backbone: Backbone, items: Sequence[bytes], labels: Sequence[str]
    ) -> Backbone:
        """The backbone with pieces learned from training texts, where its vocabulary is joint."""
        _demand_writer(backbone)
        if backbone.preprocess.get("vocabulary") != _JOINT:
            return backbone
        from headstart.loading.sequences.growing import grown

        return grown(backbone, [item.decode("utf-8", "replace") for item in items], labels)

    def backbone(self, backbone: Backbone) -> Backbone:
        """The same network without its pooling: the decoder reads all states."""
        _demand_writer(backbone)
        if backbone.summary is not None:
            return backbone
        earlier = backbone.wanted

        def wanted(other: Backbone) -> Backbone:
            return self.backbone(earlier(other) if earlier else other)

        stages, pool = backbone.unpooled(), backbone.pool
        return replace(backbone, stages=stages, pool=_identity(), summary=pool, wanted=wanted)

    def for_backbone(self, backbone: Backbone) -> Task:
        """The task with this backbone's decoder."""
        own = Translation(cast("Writer", backbone.head))
        own.measure = self.measure
        own.learning_rate = _UNTRAINED
        if backbone.origin.pretrained:  # what is wider forgets sooner
            own.untrained = "zero-shot"
            own.learning_rate = _TRAINED * min(1.0, _NARROW / backbone.feature_dim) ** 2
        return own

    def output_dim(self, labels: Sequence[str]) -> int:
        """The code points of the longest answer."""
        return _WIDTH

    def head(self, feature_dim: int, labels: Sequence[str]) -> nn.Module:
        """The decoder, as it was pretrained where it was."""
        return copy.deepcopy(cast("nn.Module", self.writer))

    def step(self, model: Model, batch: Batch) -> Step:
        """One forward pass with the cross-entropy of each next piece."""
        from headstart.contracts.model import Step

        states = model.features(batch.inputs, batch.start)
        writer = cast("Writer", model.head)
        loss = writer.loss(states, decoded(batch.targets.cpu().numpy()))
        return Step(loss[None], loss, states["hidden"].mean(1), batch.targets)

    def lengths(self, targets: np.ndarray) -> np.ndarray:
        """Code points of each text."""
        return np.asarray((targets > 0).sum(1))

    @contextmanager
    def hurried(self, head: nn.Module) -> Iterator[None]:
        """Without beams."""
        writer = cast("Writer", head)
        writer.hurried = True
        try:
            yield
        finally:
            writer.hurried = False

    def naive(self, targets: np.ndarray, labels: Sequence[str]) -> np.ndarray:
        """The commonest text of all."""
        rows, counts = np.unique(targets, axis=0, return_counts=True)
        return np.asarray(widened(rows[[counts.argmax()]], _WIDTH)[0], dtype=np.float32)

    def losses(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """What each answer lacks of a right one, from 0 to 1 by what it is judged by, (N,)."""
        return np.asarray(1.0 - self.scores(outputs, targets))

    def decode(self, outputs: np.ndarray, labels: Sequence[str]) -> list[dict[str, Any]]:
        """The texts."""
        return [{"text": text} for text in decoded(outputs)]


def _demand_writer(backbone: Backbone) -> None:
    if backbone.head is None or not is_native(backbone.head):
        raise HeadstartError(
            f"{backbone.origin.reference} has no decoder, which translations are written by. "
            "Name seeded:translator, a model that translates, or the folder of one."
        )


def _identity() -> nn.Module:
    from torch import nn

    return nn.Identity()
