"""How far an answer can be trusted: how familiar its input is, and what else the truth may be."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Final, final

import numpy as np

from headstart.contracts.targets import Encoding
from headstart.drift.conformal import Sets
from headstart.drift.familiarity import Familiarity
from headstart.drift.reference import Reference
from headstart.errors import HeadstartError

UNFAMILIAR: Final = 0.05  # at or below it one in twenty of the usual inputs is
UNLIKE: Final = "unlike anything seen"
NO_REFERENCE: Final = (
    "The model keeps no held-out items, as one that answers boxes or texts, is of an earlier "
    "version, or was made in too little time"
)
FIT_AGAIN: Final = (
    "Judge boxes and texts with headstart evaluate; fit any other anew, with time enough: "
    "headstart fit DATA -o NEW."
)


class AnswerLimits(ABC):
    """What to say of answers beside them."""

    @abstractmethod
    def of(
        self, features: np.ndarray, outputs: np.ndarray, predictions: np.ndarray
    ) -> list[dict[str, Any]]:
        """The entries for each input, from features (M, D), outputs and predictions (M, labels)."""

    @property
    @abstractmethod
    def held_out(self) -> int:
        """The items that inputs are held to."""

    @property
    @abstractmethod
    def can_refuse(self) -> bool:
        """Whether these are enough to call an input unlike them."""


@final
class Limits(AnswerLimits):
    """What to say of a model's answers beside them.

    `predictions` (N, labels) are those for the reference's items: probabilities, or numbers in
    the units of the targets. `encoding` is that of the task's kind of target.
    """

    def __init__(
        self,
        reference: Reference,
        predictions: np.ndarray,
        labels: Sequence[str],
        encoding: Encoding,
    ) -> None:
        self.familiarity = Familiarity(reference)
        self._labels = labels
        comparable = encoding in (Encoding.INDEX, Encoding.AMOUNTS) and reference.labelled
        self.sets = Sets.of(predictions, reference.targets) if comparable else None

    def of(
        self, features: np.ndarray, outputs: np.ndarray, predictions: np.ndarray
    ) -> list[dict[str, Any]]:
        """For each input `familiarity`, a p-value, and `set` or `range` where these can be said.

        Features (M, D), outputs and predictions (M, labels) are the model's for them.
        """
        usual = self.familiarity(features, outputs).tolist()
        around = self.sets.around(predictions, self._labels) if self.sets else [{}] * len(usual)
        return [{"familiarity": p} | own for p, own in zip(usual, around, strict=True)]

    @property
    def held_out(self) -> int:
        """The items of the reference."""
        return len(self.familiarity.reference)

    @property
    def can_refuse(self) -> bool:
        """Whether there are held-out items enough to call an input unlike them."""
        return self.familiarity.least <= UNFAMILIAR


def demand_refusing(limits: AnswerLimits | None) -> None:
    """Raise HeadstartError where no input can be called unlike what was held out."""
    if limits is None:
        raise HeadstartError(f"{NO_REFERENCE}, so that nothing is unlike them. {FIT_AGAIN}")
    if not limits.can_refuse:
        count = limits.held_out
        raise HeadstartError(
            f"The model keeps {count} held-out items, and calling an input unlike them takes "
            "19. Fit it to more items, or leave out --abstain."
        )
