"""What evidence relies on in a task: its probe, scores and losses, answers, the best constant."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headstart.contracts import Task
from headstart.errors import DataError
from headstart.testing.demands import demand, demand_shape, is_json, refused
from headstart.testing.tasks.sample import WIDTH, Sample, answer


def a_probe_tells_clouds_apart(sample: Sample) -> None:
    """Fitted on frozen features it is far better than naive, with the head's own tensors."""
    task = sample.task
    train, held_out = sample.clouds(30, seed=1), sample.clouds(60, seed=3)
    head = task.probe(train, sample.clouds(15, seed=2), sample.labels)
    naive = np.tile(task.naive(train[1], sample.labels), (60, 1))
    both = naive, answer(head, held_out[0])
    losses = [float(task.losses(outputs, held_out[1]).mean()) for outputs in both]
    scores = [float(task.scores(outputs, held_out[1]).mean()) for outputs in both]
    demand(
        losses[1] < losses[0] and scores[1] > scores[0],
        f"has a probe that is no better than naive: it scores {scores[1]:.3f} and {scores[0]:.3f}. "
        "Look at how probe fits.",
    )
    fresh = task.head(WIDTH, sample.labels).state_dict()
    shapes = {name: tensor.shape for name, tensor in head.state_dict().items()}
    demand(
        shapes == {name: tensor.shape for name, tensor in fresh.items()},
        f"has a probe with the tensors {sorted(shapes)}, and a head with {sorted(fresh)}. "
        "Let probe answer the kind of network that head makes.",
    )


def a_probe_bears_a_feature_that_never_changes(sample: Sample) -> None:
    """A constant feature spoils nothing."""
    train, validation = sample.clouds(30, seed=1), sample.clouds(15, seed=2)
    for features, _ in (train, validation):
        features[:, 3] = 7.0
    outputs = answer(sample.task.probe(train, validation, sample.labels), validation[0])
    demand(
        np.isfinite(outputs).all(),
        "has a probe that a constant feature spoils. Divide by no spread of zero.",
    )


def scores_and_losses_have_one_row_an_item(sample: Sample) -> None:
    """Finite numbers (N,), in the items' order; a loss depends on its own item alone."""
    for outputs, targets in sample.random_outputs():
        rows_of_scores_and_losses(sample.task, outputs, targets)


def rows_of_scores_and_losses(task: Task, outputs: np.ndarray, targets: np.ndarray) -> None:
    """Those of some outputs (N, labels)."""
    scores, losses = task.scores(outputs, targets), task.losses(outputs, targets)
    demand_shape("scores", scores, (len(targets),))
    demand_shape("losses", losses, (len(targets),))
    demand(
        np.isfinite(scores).all() and np.isfinite(losses).all(),
        "has scores or losses that are not finite. Bound them.",
    )
    turned = slice(None, None, -1)
    demand(
        np.allclose(task.scores(outputs[turned], targets[turned]), scores[turned]),
        "scores items by where they stand. Score each row alike.",
    )
    alone = [task.losses(outputs[n : n + 1], targets[n : n + 1])[0] for n in range(len(targets))]
    demand(
        np.allclose(alone, losses, rtol=1e-5, atol=1e-5),
        "has losses that depend on other items. Compute each from its own row.",
    )


def decoded_answers_are_json(sample: Sample) -> None:
    """One for each item, the same once written and read."""
    for outputs, _ in sample.random_outputs():
        decoded_rows(sample.task, outputs, sample.labels)


def decoded_rows(task: Task, outputs: np.ndarray, labels: Sequence[str]) -> None:
    """Those of some outputs (N, labels)."""
    answers = task.decode(outputs, labels)
    demand(
        len(answers) == len(outputs),
        f"decodes {len(outputs)} items into {len(answers)} answers. Answer one for each row.",
    )
    demand(
        is_json(answers),
        "decodes answers that JSON can't hold. "
        "Make them of float(), int(), str(), lists and dictionaries.",
    )


def no_constant_answer_loses_less_than_naive(sample: Sample) -> None:
    """`naive` is the best constant."""
    for outputs, targets in sample.random_outputs():
        naive_is_the_best_constant(sample.task, outputs, targets, sample.labels)


def naive_is_the_best_constant(
    task: Task, outputs: np.ndarray, targets: np.ndarray, labels: Sequence[str]
) -> None:
    """Compared with each of some outputs (N, labels)."""
    constant = task.naive(targets, labels)
    demand_shape("a naive answer", constant, (len(labels),))

    def loss(output: np.ndarray) -> float:
        return float(task.losses(np.tile(output, (len(targets), 1)), targets).mean())

    demand(
        all(loss(constant) <= loss(row) + 1e-2 for row in outputs),
        "has a naive answer that another constant beats. "
        "Answer the constant with the least loss on the training targets.",
    )


def features_that_are_not_finite_are_refused(sample: Sample) -> None:
    """They are the data's fault, and said so."""
    features, targets = sample.clouds(12, seed=0)
    features[3, 2] = np.nan
    with refused("features that are not finite", DataError, "not finite numbers"):
        sample.task.probe((features, targets), sample.clouds(12, seed=1), sample.labels)
