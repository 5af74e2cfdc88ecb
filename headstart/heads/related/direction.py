"""The sources' answer, and nothing else of the target than its level and its scale."""

from __future__ import annotations

from typing import Final, final

import numpy as np

from headstart.heads.related import Question, RelatedHead

_WORTH: Final = 4.0  # rows that say that the sources' scale is right


@final
class SourceDirection(RelatedHead):
    """The sources' score, moved to the target's mean and multiplied by what its rows speak for."""

    def weights(self, question: Question) -> np.ndarray:
        """One output's weights (D,): the sources' times one number, 0 or more."""
        score = question.score
        worth = _WORTH * score.var()
        slope = (score @ question.goals + worth) / (score @ score + worth) if worth > 0 else 1.0
        return np.asarray(max(slope, 0.0) * question.direction)
