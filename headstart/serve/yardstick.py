"""What a model was held to, beside the answers that it gives."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, Final, final

import numpy as np

from headstart.contracts import Task
from headstart.data.targets import kind_named
from headstart.drift import MOST, Limits, Reference
from headstart.errors import HeadstartError

NO_REFERENCE: Final = (
    "The model keeps no held-out items, as those of earlier versions or out of time"
)
FIT_AGAIN: Final = "Fit it again: headstart fit --plan MODEL -o NEW."


@final
class Yardstick:
    """The limits of answers, where the model keeps a reference; `recent` are the last 500 inputs.

    Each of these is features (D,) and outputs (labels,).
    """

    def __init__(self, reference: Reference | None, task: Task, labels: Sequence[str]) -> None:
        self.reference = reference
        self.recent: deque[tuple[np.ndarray, np.ndarray]] = deque(maxlen=MOST)
        self._task, self._labels = task, labels

    def around(self, features: np.ndarray, outputs: np.ndarray) -> Iterator[dict[str, Any]]:
        """What to say beside each answer, from features (N, D) and outputs (N, labels)."""
        if self.limits is None:
            return iter([{}] * len(outputs))
        self.recent.extend(zip(features, outputs, strict=True))
        return iter(self.limits.of(features, outputs, self._task.predictions(outputs)))

    def demand(self) -> None:
        """Raise HeadstartError where no input could be called unlike what was held out."""
        if self.limits is None or self.reference is None:
            raise HeadstartError(f"{NO_REFERENCE}, so that nothing is unlike them. {FIT_AGAIN}")
        if not self.limits.can_refuse:
            raise HeadstartError(
                f"The model keeps {len(self.reference)} held-out items, and calling an input "
                "unlike them takes 19. Fit it to more items, or leave out --abstain."
            )

    @cached_property
    def limits(self) -> Limits | None:
        """How far answers can be trusted; None where the model keeps no held-out items."""
        if self.reference is None:
            return None
        predictions = self._task.predictions(self.reference.outputs)
        encoding = kind_named(self._task.kind).encoding
        return Limits(self.reference, predictions, self._labels, encoding)
