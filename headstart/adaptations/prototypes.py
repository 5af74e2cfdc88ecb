"""Prototypes of the target's surest answers in place of the source's weights."""

from __future__ import annotations

from typing import final

import numpy as np
from torch import nn

from headstart.contracts.adaptation import Adaptation
from headstart.contracts.domains import Domains
from headstart.contracts.logistic import outputs_of, softmax


@final
class Prototypes(Adaptation):
    """Each class is the mean direction of its weight and of the target items surest of it.

    Of the items that are answered with a class the `share` of least entropy support it. Both
    domains are standardised by their own statistics.

    Reference: Iwasawa and Matsuo 2021 (T3A), over all items at once.
    Use when: classes look different in the target and still lie apart.
    """

    def __init__(self, share: float = 0.5) -> None:
        self.share = share

    def head(self, domains: Domains) -> nn.Linear:
        """A layer of prototypes, as steep as the one that it began with."""
        (weight, bias), inputs = domains.start, domains.inside
        outputs = outputs_of(domains.start, inputs)
        probabilities = softmax(outputs)
        entropy = -(probabilities * np.log(probabilities + 1e-12)).sum(axis=1)
        answers = outputs.argmax(axis=1)
        directions = _unit(weight)
        for number in range(domains.classes):
            own = np.flatnonzero(answers == number)
            support = own[np.argsort(entropy[own], kind="stable")]
            support = support[: int(np.ceil(self.share * len(own)))]
            if len(support):
                directions[number] += _unit(inputs[support]).sum(axis=0)
        prototypes = _unit(directions)
        steepness = np.std(outputs) / max(float(np.std(inputs @ prototypes.T)), 1e-12)
        return domains.target_scale.folded(steepness * prototypes, np.zeros_like(bias))


def _unit(rows: np.ndarray) -> np.ndarray:
    """Rows at length 1."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, 1e-12))
