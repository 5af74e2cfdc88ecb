"""The target's own answers as labels, the surest of each class first."""

from __future__ import annotations

from typing import final

import numpy as np
from torch import nn

from headstart.contracts.adaptation import Adaptation
from headstart.contracts.domains import Domains
from headstart.contracts.logistic import logistic, outputs_of, softmax


@final
class SelfTraining(Adaptation):
    """A classifier of the source and of more and more of the target, as it answers itself.

    In each of `rounds` the surest share of every class is taken, so that none drives out others.
    Both domains are standardised by their own statistics.

    Reference: Zou et al. 2018 (class-balanced self-training).
    Use when: most answers are right and more of the target can be learned from them.
    """

    def __init__(self, rounds: int = 3) -> None:
        self.rounds = rounds

    def head(self, domains: Domains) -> nn.Linear:
        """Logistic regression on the source and on the target's answers."""
        layer, inputs = domains.start, domains.inside
        for number in range(1, self.rounds + 1):
            probabilities = softmax(outputs_of(layer, inputs))
            surest = _surest(probabilities, number / (self.rounds + 1))
            features = np.concatenate([domains.inputs, inputs[surest]])
            labels = np.concatenate([domains.targets, probabilities[surest].argmax(axis=1)])
            layer = logistic(features, labels, domains.classes, None, domains.strength)
        return domains.target_scale.folded(*layer)


def _surest(probabilities: np.ndarray, share: float) -> np.ndarray:
    """Positions of the surest share of the items that are answered with each class."""
    answers, sure = probabilities.argmax(axis=1), probabilities.max(axis=1)
    parts = []
    for number in range(probabilities.shape[1]):
        own = np.flatnonzero(answers == number)
        ordered = own[np.argsort(-sure[own], kind="stable")]
        parts.append(ordered[: int(np.ceil(share * len(own)))])
    return np.sort(np.concatenate(parts))
