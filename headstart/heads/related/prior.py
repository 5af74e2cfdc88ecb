"""The sources' answer as what is believed before any row of the target is seen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, final

import numpy as np

from headstart.heads.related import Question, RelatedHead, alone

_DIFFERENCES: Final = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)  # variances of weights
_USUAL: Final = 0.03  # that of weights of which sources say nothing, at least
_NOISE: Final = (0.1, 0.2, 0.35, 0.5, 0.7, 1.0)  # variances of a row's answer
_SLOPE: Final = 0.25  # variance of what the sources' score is multiplied by, about 1
_OFFSET: Final = 4.0  # variance of the mean
_ALONE: Final = 0.3  # probability that sources say nothing
_WORTH: Final = 30  # rows of the target that weigh as much as the sources

Prior = tuple[float, np.ndarray, np.ndarray, float]  # chance, means, variances, noise


@final
class SourcePrior(RelatedHead):
    """Weights that differ from the sources' by no more than the target's rows speak for.

    Every amount of difference and of noise counts by how probable it makes the rows (MacKay 1992),
    one without sources among them (Hoeting et al. 1999). The mean of all is blended with ridge
    regression on the target's rows alone, whose share is n² / (n² + 30²) for n rows: below ten
    rows it is near the sources, from fifty on near the target.
    """

    def weights(self, question: Question) -> np.ndarray:
        """One output's weights (D,) for the inputs."""
        count = len(question.goals)
        design = np.column_stack([np.ones(count), question.score, question.inputs])
        gram, loads = design.T @ design, design.T @ question.goals
        squares = float(question.goals @ question.goals)
        chances, means = [], []
        for chance, centre, variances, noise in _priors(question.mask):
            inverse = gram / noise + np.diag(1 / variances)
            rest = squares - 2 * centre @ loads + centre @ gram @ centre
            pull = (loads - gram @ centre) / noise
            moved = np.linalg.solve(inverse, pull)
            size = np.linalg.slogdet(inverse)[1] + np.log(variances).sum() + count * np.log(noise)
            chances.append(np.log(chance) - 0.5 * (size + rest / noise - pull @ moved))
            means.append(centre + moved)
        shares = np.exp(np.array(chances) - max(chances))
        mean = shares @ np.stack(means) / shares.sum()
        from_sources = mean[2:] + mean[1] * question.direction
        own = count**2 / (count**2 + _WORTH**2)
        return np.asarray(own * alone(question) + (1 - own) * from_sources)


def _priors(mask: np.ndarray) -> Iterator[Prior]:
    """What may be believed beforehand of offset, slope and weights."""
    nothing, from_sources = np.zeros(len(mask) + 2), np.zeros(len(mask) + 2)
    from_sources[1] = 1.0
    for difference in _DIFFERENCES:
        alike = np.full(len(mask), difference)
        around = np.where(mask, difference, max(difference, _USUAL))
        for noise in _NOISE:
            yield _ALONE, nothing, np.concatenate([[_OFFSET, 1e-8], alike]), noise
            yield 1 - _ALONE, from_sources, np.concatenate([[_OFFSET, _SLOPE], around]), noise
