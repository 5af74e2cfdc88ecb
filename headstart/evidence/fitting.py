"""Heads that are fitted at once: the probe of all labels, and others picked on validation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from headstart.contracts import Examples, Task
from headstart.contracts.frozen import LinearHead
from headstart.contracts.head import HeadFitter, Shape, TrainingSet
from headstart.contracts.targets import Encoding
from headstart.data.targets import kind_named
from headstart.errors import HeadstartError
from headstart.evidence.experiment import Experiment

if TYPE_CHECKING:  # so that frozen features need no torch
    from torch import nn

_FACTORS = np.geomspace(0.25, 8, 21)  # of distances from a border, to make them log odds
_AT_ONCE = 256  # items, as neighbours and trees take memory for each


def fitted(
    experiment: Experiment, head: HeadFitter, train: Examples, validation: Examples
) -> nn.Module:
    """The candidate that is best on validation, by score and then by loss.

    Distances from a border are scaled so that they lose least there as log odds. Raises
    HeadstartError for a kind of target that heads don't know, and DataError for features that are
    not finite.
    """
    from torch import nn

    task, best = experiment.task, None
    for candidate in head.candidates(_training_set(experiment, train)):
        selection_key = merit(task, answers(candidate, validation[0]), validation[1])
        if best is None or selection_key > best[0]:
            best = selection_key, candidate
        if experiment.budget.over():
            break
    if best is None:
        raise ValueError(f"{type(head).__name__} has no candidate")
    amounts = kind_named(task.kind).encoding is Encoding.AMOUNTS
    if head.margins and not amounts and isinstance(best[1], nn.Linear):
        _scale(best[1], task, validation)
    return best[1]


def full_probe(
    task: Task, train: Examples, validation: Examples, labels: Sequence[str]
) -> nn.Module | LinearHead:
    """The task's probe fitted to validation as well, where it needs none to pick its settings.

    It is for test items and for whoever takes the model; what validation says of a probe is to be
    learned from one that has not seen it. Raises DataError for features that are not finite.
    """
    if not task.cross_validates:
        return task.linear_probe(train, validation, labels)
    return task.linear_probe(joined(train, validation), validation, labels)


def joined(one: Examples, other: Examples) -> Examples:
    """The examples of both; features that are the two parts of one array are not copied."""
    (first, targets), (second, others) = one, other
    whole, behind = first.base, first.ctypes.data + first.nbytes == second.ctypes.data
    both = whole is not None and whole is second.base and behind
    if whole is None or not both or whole.shape != (len(first) + len(second), *first.shape[1:]):
        whole = np.concatenate([first, second])
    return whole, np.concatenate([targets, others])


def answers(head: nn.Module | LinearHead, features: np.ndarray) -> np.ndarray:
    """A head's outputs (N, labels) for features (N, D), a few items at a time."""
    if isinstance(head, LinearHead):
        return head(features)
    import torch

    inputs = torch.from_numpy(np.ascontiguousarray(features))
    with torch.inference_mode():
        starts = range(0, max(1, len(inputs)), _AT_ONCE)  # folds hold no items for test
        parts = [head(inputs[start : start + _AT_ONCE]) for start in starts]
        return torch.cat(parts).numpy()


def _training_set(experiment: Experiment, train: Examples) -> TrainingSet:
    """Examples as heads want them: numbers standardised, items weighed as their labels are."""
    (features, targets), settings = train, experiment.task_settings
    encoding = kind_named(experiment.task.kind).encoding
    if encoding is Encoding.OTHER:
        raise HeadstartError(
            f"A head of the catalog can't answer with {experiment.task.kind}. "
            "Leave out --head, so that the task's own is fitted."
        )
    if encoding is Encoding.AMOUNTS and settings:
        targets = (targets - np.array(settings["mean"])) / np.array(settings["scale"])
    weights = np.ones(len(targets))
    if encoding is Encoding.INDEX and settings.get("weights"):
        weights = np.array(settings["weights"])[targets]
    return TrainingSet(
        features, targets, weights, Shape(encoding, features.shape[1], len(experiment.labels))
    )


def _scale(layer: nn.Linear, task: Task, validation: Examples) -> None:
    import torch

    outputs = answers(layer, validation[0])
    losses = [task.losses(outputs * factor, validation[1]).mean() for factor in _FACTORS]
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.mul_(float(_FACTORS[int(np.argmin(losses))]))


def merit(task: Task, outputs: np.ndarray, targets: np.ndarray) -> tuple[float, float]:
    """The mean score, and minus the mean loss; zeros without items, as in folds of very few."""
    if not len(targets):
        return 0.0, 0.0
    return float(task.scores(outputs, targets).mean()), -float(task.losses(outputs, targets).mean())
