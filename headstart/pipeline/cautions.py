"""What speaks against the model that is handed over, in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from headstart import evidence
from headstart.contracts import Backbone, Encoding
from headstart.data.targets import USUAL, kind_named
from headstart.evidence import Arm, ArmResult, Experiment


def unmoved(result: ArmResult, experiment: Experiment, backbone: Backbone) -> list[str]:
    """Whether validation preferred what a training began with, where no probe stands behind it.

    The model handed over is then the network as it was.
    """
    training = result.training
    if experiment.task.has_probe or not training.kept_start:
        return []
    origin = backbone.origin
    was = f"{origin.reference} as it was, and equals {experiment.task.untrained}"
    if not (origin.pretrained and experiment.task.untrained):
        was = f"{origin.reference} as it began, with random weights"
    return [
        f"Validation preferred what {result.arm.strategy} began with to what any of its "
        f"{training.steps} steps led to: the model handed over is {was}; training added nothing. "
        "Give more items, more --epochs or another --learning-rate."
    ]


def another(experiment: Experiment) -> str:
    """What else to do where nothing was learned."""
    rows = experiment.reader.modality.whole_rows
    return "give other columns" if rows else "try another backbone or strategy"


def beaten(winner: Arm, baseline: Arm, sign: int) -> list[str]:
    """Whether validation prefers what needs no network to what is handed over."""
    if baseline.selection_key[0] <= winner.selection_key[0]:
        return []
    method = f"linear model on {baseline.strategy}"
    looked_up = {
        evidence.MEMORY: "translation memory",
        evidence.NEAREST: "look-up of the nearest item",
    }
    method = looked_up.get(baseline.strategy, method)
    return [
        f"A {method} scored {sign * baseline.selection_key[0]:.3f} on "
        f"validation, {'above' if sign > 0 else 'better than'} the "
        f"{sign * winner.selection_key[0]:.3f} of the model handed over. "
        "Try another backbone or strategy, or use that one."
    ]


def diverged(arms: Mapping[str, ArmResult]) -> list[str]:
    """Which trainings ended as their numbers were no longer finite."""
    return [
        f"The training of {result.arm.strategy} ended after {result.training.steps} steps, as its "
        "numbers were no longer finite; the best weights before that count. "
        "Give a lower --learning-rate."
        for name, result in arms.items()
        if result.training.diverged and name != "scratch"  # whose rates are not the user's
    ]


def unvarying(experiment: Experiment, outputs: np.ndarray) -> list[str]:
    """Whether the model handed over, by its outputs on held-out items, has one answer for all."""
    dataset, targets = experiment.dataset, experiment.dataset.targets("test")
    return constant(outputs, targets, experiment.labels, dataset.kind, another(experiment))


def constant(
    outputs: np.ndarray,
    targets: np.ndarray,
    labels: Sequence[str],
    kind: str = USUAL,
    other: str = "try another backbone or strategy",
) -> list[str]:
    """Whether a model has one answer for all items, of which there are several targets.

    `outputs` (N, labels) and `targets` are those of the held-out items. A number is the same where
    its answers vary by less than a hundredth of what it varies by.
    """
    if not len(targets) or (targets == targets[0]).all():
        return []
    target = kind_named(kind)
    answer = target.only_answer(outputs, labels)
    if not answer:
        return []
    classes = target.encoding is Encoding.INDEX
    more = "more items of the other classes" if classes else "more items"
    return [
        f"The model handed over answers {answer} to each of the {len(targets)} held-out items: "
        f"nothing did better on validation. Label {more}, or {other}."
    ]
