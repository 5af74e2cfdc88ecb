"""Which of the source's classes a target is believed to hold, and whether all may be there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headstart.contracts.domains import Domains
from headstart.contracts.logistic import outputs_of

WHOLE = 0.8  # of the source's effective classes, from which on all seem to be there
_THERE = 0.25  # of a class's share in the source, from which on it is believed to be there


@dataclass(frozen=True)
class Presence:
    """The target's shares of classes as a mixture finds them, and the source's, (classes,).

    `answered` are the shares of the mixture's answers.
    """

    shares: np.ndarray
    answered: np.ndarray
    source: np.ndarray

    @property
    def effective(self) -> float:
        """How many classes the answers use, rare ones counting less."""
        return _effective(self.answered)

    @property
    def doubtful(self) -> bool:
        """Whether classes seem to be missing or rare, so that most methods may do harm."""
        return self.effective < WHOLE * _effective(self.source)

    @property
    def there(self) -> np.ndarray:
        """Which classes are believed to be there, (classes,) of booleans."""
        return np.asarray(self.shares >= _THERE * self.source)


def presence(domains: Domains) -> Presence:
    """Shares of classes in the target by a mixture whose shares are free.

    In 36 draws of spoken and written digits its answers used .80 to 1.0 of the source's effective
    classes where all were there, .66 to .87 where half of them were rare, and .35 to .55 where
    there were 4 of 10. Where classes lie close to one another it ends in few of them whatever is
    there: then it is doubtful, as nothing can be known.
    """
    answers = outputs_of(domains.mixture.layer, domains.inside).argmax(axis=1)
    counts = np.bincount(answers, minlength=domains.classes)
    return Presence(domains.mixture.shares, counts / counts.sum(), domains.shares)


def _effective(shares: np.ndarray) -> float:
    """The exponential of the entropy (Hill 1973)."""
    return float(np.exp(-(shares * np.log(shares + 1e-12)).sum()))
