"""Translation: a text for a text, as a decoder writes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Final, cast, final

from headstart.contracts import Backbone, Task
from headstart.contracts.frozen import is_native
from headstart.contracts.writing import Writing, unpooled
from headstart.errors import HeadstartError

if TYPE_CHECKING:  # so that a saved model is described without torch
    from headstart.loading.sequences.writer import Writer

_UNTRAINED, _TRAINED, _NARROW = 2e-3, 1.5e-3, 96  # rates, the second one's up to this width
_JOINT: Final = "joint"


@final
class Translation(Writing):
    """A text for each item, written piece by piece, judged by chrF."""

    own_metric: ClassVar[str] = "headstart.metrics.translation:ChrF"
    takes_latest: ClassVar[bool] = True  # as some dozen texts say little, and rates fall to zero

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
        return unpooled(backbone, self.backbone)

    def for_backbone(self, backbone: Backbone) -> Task:
        """The task with this backbone's decoder."""
        own = Translation(cast("Writer", backbone.head))
        own.measure = self.measure
        own.learning_rate = _UNTRAINED
        if backbone.origin.pretrained:  # what is wider forgets sooner
            own.untrained = "zero-shot"
            own.learning_rate = _TRAINED * min(1.0, _NARROW / backbone.feature_dim) ** 2
            # A narrow child first loses what its parent wrote, and needs as long to be above that.
            own.passes = self.passes * (2 if backbone.feature_dim <= 2 * _NARROW else 1)
        return own


def _demand_writer(backbone: Backbone) -> None:
    if backbone.head is None or not is_native(backbone.head):
        raise HeadstartError(
            f"{backbone.origin.reference} has no decoder, which translations are written by. "
            "Name seeded:translator, a model that translates, or the folder of one."
        )
