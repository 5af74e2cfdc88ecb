"""Validators: how good answers on a target may be, from no label of it. More is better."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from headstart.contracts.logistic import softmax

_MOST = 2000  # items that are compared with one another
_SHARPNESS = 0.05  # temperature of neighbourhoods, as Saito et al. have it


@dataclass(frozen=True)
class Answers:
    """Outputs (T, classes) on the target; on held-out source items (H,) which answers are right.

    `weights` (H,) are the odds that such an item is of the target, 1 on average.
    """

    outputs: np.ndarray
    right: np.ndarray
    weights: np.ndarray

    @cached_property
    def probabilities(self) -> np.ndarray:
        """(T, classes)."""
        return softmax(self.outputs)

    @property
    def uncertainty(self) -> float:
        """The mean entropy of an answer."""
        return float(_entropy(self.probabilities).mean())


def entropy(answers: Answers) -> float:
    """How sure the answers are (Morerio et al. 2018)."""
    return -answers.uncertainty


def information(answers: Answers) -> float:
    """How sure they are, and how many classes they use: mutual information (Shi and Sha 2012)."""
    return float(_entropy(answers.probabilities.mean(axis=0)[None])[0]) - answers.uncertainty


def matrix_norm(answers: Answers) -> float:
    """MaNo: the fourth norm of the probabilities (Xie et al. 2024)."""
    return float(np.sqrt(np.sqrt((answers.probabilities**4).mean())))


def nuclear_norm(answers: Answers) -> float:
    """How sure and how diverse, by the nuclear norm (Deng et al. 2023), 1 at most."""
    values = np.linalg.svd(answers.probabilities, compute_uv=False)
    return float(values.sum() / np.sqrt(answers.outputs.size * min(1.0, _ratio(answers))))


def neighbourhoods(answers: Answers) -> float:
    """Whether items with like answers lie close: soft neighbourhood density (Saito et al. 2021)."""
    step = max(1, -(-len(answers.outputs) // _MOST))
    rows = answers.probabilities[::step]
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    alike = rows @ rows.T / _SHARPNESS
    np.fill_diagonal(alike, -1e9)
    return float(_entropy(softmax(alike)).mean())


def source_accuracy(answers: Answers) -> float:
    """The share of held-out source items that are answered rightly."""
    return float(answers.right.mean())


def weighted_accuracy(answers: Answers) -> float:
    """The same with items weighed by their odds in the target (Sugiyama et al. 2007, IWV)."""
    return float((answers.right * answers.weights).mean())


VALIDATORS: dict[str, Callable[[Answers], float]] = {
    "entropy": entropy,
    "information": information,
    "MaNo": matrix_norm,
    "nuclear norm": nuclear_norm,
    "SND": neighbourhoods,
    "source accuracy": source_accuracy,
    "weighted source accuracy": weighted_accuracy,
}
DECISIVE = ("entropy", "information", "MaNo", "nuclear norm")  # the others rarely chose well


def _entropy(rows: np.ndarray) -> np.ndarray:
    return np.asarray(-(rows * np.log(rows + 1e-12)).sum(axis=1))


def _ratio(answers: Answers) -> float:
    items, classes = answers.outputs.shape
    return float(items / classes)
