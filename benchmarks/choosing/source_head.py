"""Scores that rank no backbone here, of the pretrained head's answers only: LEEP and NCE.

For `classes` alone; `answers` (N, Cs) are the head's probabilities for the same items.
"""

from __future__ import annotations

import numpy as np

from headstart.contracts import Array
from headstart.transferability.sample import Sample


def leep(sample: Sample, answers: Array) -> float:
    """The mean log probability of an item's class, guessed from the pretrained head's answers.

    mean over items i of log(sum over source classes z of P(class of i | z) head(i)_z), where
    P(class, z) is the mean over all items of the class's indicator times head_z. At most 0.

    Reference: Nguyen et al. 2020. Cost: O(N Cs C), no features needed. Known failure: it sees the
    old classes instead of the features, so it ranks backbones of different heads badly, and with
    more source classes than items it approaches 0 for any head.
    """
    answers = _shares(answers)
    joint = sample.codes.T @ answers
    marginal = joint.sum(axis=0)
    conditional = joint / np.where(marginal > 0, marginal, 1.0)
    guessed = (sample.codes * (answers @ conditional.T)).sum(axis=1)
    return float(np.log(guessed).mean())


def nce(sample: Sample, answers: Array) -> float:
    """Minus the entropy of the class, given the head's likeliest answer. At most 0.

    sum over classes y and answers z of P(y, z) log(P(y, z) / P(z)), with shares of the items.

    Reference: Tran, Nguyen and Hassner 2019. Cost: O(N Cs). Known failure: as LEEP's; an answer
    that is given once counts as certain, so many source classes raise it.
    """
    chosen = _shares(answers).argmax(axis=1)
    _, numbers = np.unique(chosen, return_inverse=True)
    joint = sample.codes.T @ np.eye(int(numbers.max()) + 1)[numbers] / len(sample)
    conditional = joint / joint.sum(axis=0)
    return float((joint * np.log(np.where(joint > 0, conditional, 1.0))).sum())


def _shares(answers: Array) -> Array:
    """The head's probabilities in double precision, each row summing to 1."""
    answers = np.asarray(answers, dtype=np.float64)
    return np.asarray(answers / answers.sum(axis=1, keepdims=True))
