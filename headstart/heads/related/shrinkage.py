"""Ridge regression that is drawn to the sources' weights in the place of zero."""

from __future__ import annotations

from typing import Final, final

import numpy as np

from headstart.contracts.ridge import ridge
from headstart.heads.related import Question, RelatedHead

_SLOPES: Final = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5)


@final
class SourceShrinkage(RelatedHead):
    """Ridge regression on what some multiple of the sources' score leaves open.

    Multiple and strength are those whose error is least on rows left out in turn, exactly (Allen
    1974); a multiple of 0 is ridge regression on the target alone.
    """

    def weights(self, question: Question) -> np.ndarray:
        """One output's weights (D,) for the inputs."""
        score = question.score
        outcomes = []
        for slope in _SLOPES:
            weights, errors = ridge(question.inputs, (question.goals - slope * score)[:, None])
            outcomes.append((float(errors[0]), slope, weights[:, 0]))
        _, slope, weights = min(outcomes, key=lambda outcome: outcome[0])
        return np.asarray(weights + slope * question.direction)
