"""What tasks may do with backbones, heads and answers, and most don't."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.contracts.backbone import Backbone

if TYPE_CHECKING:  # so that a saved model answers without torch
    from torch import nn

    from headstart.contracts.places import Extent, Motion

Labels = Sequence[str]
Array = np.ndarray
Answered = tuple[Array, Array, Sequence[str]]  # outputs, targets, and the items' ids


class TaskHooks(ABC):  # noqa: B024  # all of them have a default
    """What is called on every task, and does nothing unless it says so."""

    def prepared(self, backbone: Backbone, items: Sequence[bytes], labels: Labels) -> Backbone:
        """The backbone with what it takes of the training items and their labels, as pieces."""
        return backbone

    def moved(self, targets: Array, motions: Sequence[Motion | None]) -> Array:
        """Encoded targets of items as they are in random views."""
        return targets

    def lengths(self, targets: Array) -> Array | None:
        """How long what is to be written for each item is, (N,); None where nothing is."""
        return None

    def hurried(self, head: nn.Module) -> AbstractContextManager[None]:
        """While it lasts a head answers as well as training needs, and sooner."""
        return nullcontext()

    def enough(self, outputs: Array, targets: Array) -> bool:
        """Whether answers are so good that no dearer strategy needs to be tried."""
        return False

    def settled(self, head: nn.Module, outputs: Array, targets: Array) -> None:
        """Let a head that is handed over say what its outputs on validation decide, at the end."""

    def remarks(self, sizes: Callable[[], Array | None], texts: Sequence[str]) -> Sequence[str]:
        """Sentences on training labels that can't be learned from their items.

        `sizes` reads how long these are, (N,), or answers None where all are alike.
        """
        return ()

    def findings(
        self, test: Answered, validation: Answered, labels: Labels
    ) -> tuple[str, Mapping[str, Any]] | None:
        """What else is worth a look, and by which name reports have it; None for nothing."""

    def placed(self, answer: Mapping[str, Any], extent: Extent) -> Mapping[str, Any]:
        """A decoded answer about an item of this extent, in its own pixels."""
        return answer
