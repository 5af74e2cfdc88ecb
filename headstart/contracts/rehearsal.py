"""What learning a few items by heart must reach before a long training begins."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

from headstart.contracts.origin import Preprocess


class Rehearsal(ABC):
    """How outputs for items that were trained on are judged, from 0 to 1.

    A network that doesn't get `enough` there has a fault that more training doesn't mend.
    """

    enough: ClassVar[float] = 0.9

    @abstractmethod
    def score(self, outputs: np.ndarray, targets: np.ndarray) -> float:
        """How much of the items (N, outputs) was learned by heart."""

    @abstractmethod
    def cause(self, outputs: np.ndarray, targets: np.ndarray, preprocess: Preprocess) -> str:
        """Why it is not enough: a sentence on what is wrong, and one on what to do."""
