"""What the flow relies on in any task, whatever kind of answer it gives."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from headstart.contracts import Batch, Examples, Step, Task
from headstart.contracts.model import Model
from headstart.errors import ContractError, DataError
from headstart.testing.demands import (
    constructor_only_stores,
    demand,
    instance,
    is_documented,
    refused,
)

WIDTH = 4
_CLOUDS = 3
_DRAWS = 20
# Targets of three items that differ, by kind; a task of another kind brings its own.
THREE: Final[dict[str, np.ndarray]] = {
    "classes": np.arange(3),
    "label sets": np.array([[1, 1, 0], [0, 1, 1], [1, 0, 1]], dtype=np.float32),
    "numbers": np.array([[2, 11, -5], [0, 11, 0], [2, 10, -5]], dtype=np.float32),
}


@dataclass(frozen=True)
class Sample:
    """A task, targets of three items that differ, and the names of its outputs."""

    task: Task
    three: np.ndarray
    labels: Sequence[str]

    def clouds(self, count: int, seed: int, distance: float = 12.0) -> Examples:
        """Features (N, 4) of three clouds, and targets that say which."""
        rng = np.random.default_rng(seed)
        clouds = np.arange(count) % _CLOUDS
        features = rng.normal(0, 1, (count, WIDTH)).astype(np.float32)
        features[np.arange(count), clouds] += distance
        return features, self.three[clouds]

    def network(self) -> Model:
        """A backbone of one layer under the task's head."""
        return Model({"all": nn.Linear(WIDTH, WIDTH)}, self.task.head(WIDTH, self.labels))

    def drawn(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Outputs (N, labels) of any size, and targets."""
        rng = np.random.default_rng(0)
        return [
            (
                rng.uniform(-50, 50, (count, len(self.labels))).astype(np.float32),
                self.three[rng.integers(0, _CLOUDS, count)],
            )
            for count in rng.integers(1, 12, _DRAWS)
        ]


def subject(part: Any, example: Any) -> Sample:
    """What the checks take. Raises ContractError for a kind of target that needs an example."""
    task: Task = instance("tasks", part, Task)
    if example is not None:
        three, labels = example
        return Sample(task, np.asarray(three), tuple(labels))
    if task.kind not in THREE:
        raise ContractError(
            f"{type(task).__name__} answers with {task.kind!r}, of which no examples are known. "
            "Give example=(targets of three items that differ, names of the outputs)."
        )
    return Sample(task, THREE[task.kind], ("ant", "bee", "cat"))


def answer(head: nn.Module, features: np.ndarray) -> np.ndarray:
    """A head's outputs (N, labels)."""
    with torch.inference_mode():
        outputs: np.ndarray = head(torch.from_numpy(features)).numpy()
    return outputs


def _batch(examples: Examples, start: int = 0) -> Batch:
    features, targets = examples
    return Batch(torch.from_numpy(features), torch.from_numpy(targets), start)


def is_documented_and_names_its_metric(sample: Sample) -> None:
    """Documented, its constructor only stores, and it says what its score is called."""
    is_documented(sample.task)
    constructor_only_stores(sample.task)
    demand(sample.task.metric, sample.task, "names no metric", "Set metric")


def a_step_answers_outputs_loss_features_and_targets(sample: Sample) -> None:
    """One forward pass gives what the head gives, and the mean of `losses`, with its gradient."""
    task, model = sample.task, sample.network()
    nn.init.normal_(next(model.head.parameters()))
    features, targets = sample.clouds(6, seed=0)
    step = task.step(model, _batch((features, targets)))
    _demand_shape(task, "outputs", step.outputs, (6, len(sample.labels)))
    _demand_shape(task, "features", step.features, (6, WIDTH))
    _demand_shape(task, "loss", step.loss, ())
    demand(
        torch.equal(step.targets, torch.from_numpy(targets)),
        task,
        "gives other targets than those of the batch",
        "Pass them on in Step",
    )
    demand(
        torch.allclose(step.outputs, model(torch.from_numpy(features)), rtol=1e-5, atol=1e-5),
        task,
        "has other outputs in a step than its head answers",
        "Give the head's outputs in Step",
    )
    mean = float(task.losses(step.outputs.detach().numpy(), targets).mean())
    demand(
        np.isclose(step.loss.item(), mean, rtol=1e-4),
        task,
        f"trains towards a loss of {step.loss.item():.6g} where losses has the mean {mean:.6g}",
        "Compute the same in both",
    )
    _demand_gradients(task, model, step)


def _demand_shape(task: Task, what: str, tensor: Tensor, shape: tuple[int, ...]) -> None:
    demand(
        tuple(tensor.shape) == shape,
        task,
        f"has {what} of shape {tuple(tensor.shape)} in a step of 6 items",
        f"Give {shape}",
    )


def _demand_gradients(task: Task, model: Model, step: Step) -> None:
    torch.autograd.backward(step.loss)
    idle = [name for name, each in model.named_parameters() if each.grad is None]
    demand(not idle, task, f"gives {', '.join(idle)} no gradient", "Detach nothing in step")


def a_step_enters_at_the_boundary_of_its_batch(sample: Sample) -> None:
    """Inputs of stage 1 skip stage 0."""
    head = sample.task.head(WIDTH, sample.labels)
    model = Model({"spoils": nn.Linear(1, 1), "all": nn.Identity()}, head)
    batch = _batch(sample.clouds(3, seed=0), start=1)
    demand(
        torch.equal(sample.task.step(model, batch).features, batch.inputs),
        sample.task,
        "runs stages that come before the batch's start",
        "Call model.features(batch.inputs, batch.start)",
    )


def a_loss_stays_in_full_precision(sample: Sample) -> None:
    """Under autocast too."""
    with torch.autocast("cpu", torch.bfloat16):
        loss = sample.task.step(sample.network(), _batch(sample.clouds(4, seed=0))).loss
    demand(
        loss.dtype == torch.float32,
        sample.task,
        f"computes its loss in {loss.dtype} under autocast",
        "Take the loss of outputs.float()",
    )


def heads_are_seeded_by_torch(sample: Sample) -> None:
    """One seed, one head."""
    states = []
    for _ in range(2):
        torch.manual_seed(3)
        states.append(sample.task.head(WIDTH, sample.labels).state_dict())
    demand(
        all(torch.equal(states[0][key], states[1][key]) for key in states[0]),
        sample.task,
        "makes another head from the same seed",
        "Draw from torch's global generator only",
    )


def a_probe_tells_clouds_apart(sample: Sample) -> None:
    """Fitted on frozen features it is far better than naive, with the head's own tensors."""
    task = sample.task
    train, held_out = sample.clouds(30, seed=1), sample.clouds(60, seed=3)
    head = task.probe(train, sample.clouds(15, seed=2), sample.labels)
    naive = np.tile(task.naive(train[1], sample.labels), (60, 1))
    losses = [
        float(task.losses(outputs, held_out[1]).mean())
        for outputs in (naive, answer(head, held_out[0]))
    ]
    scores = [
        float(task.scores(outputs, held_out[1]).mean())
        for outputs in (naive, answer(head, held_out[0]))
    ]
    demand(
        losses[1] < losses[0] and scores[1] > scores[0],
        task,
        f"has a probe that is no better than naive: it scores {scores[1]:.3f} and {scores[0]:.3f}",
        "Look at how probe fits",
    )
    fresh = task.head(WIDTH, sample.labels).state_dict()
    shapes = {name: tensor.shape for name, tensor in head.state_dict().items()}
    demand(
        shapes == {name: tensor.shape for name, tensor in fresh.items()},
        task,
        f"has a probe with the tensors {sorted(shapes)}, and a head with {sorted(fresh)}",
        "Let probe answer the kind of network that head makes",
    )


def a_probe_bears_a_feature_that_never_changes(sample: Sample) -> None:
    """A constant feature spoils nothing."""
    train, validation = sample.clouds(30, seed=1), sample.clouds(15, seed=2)
    for features, _ in (train, validation):
        features[:, 3] = 7.0
    outputs = answer(sample.task.probe(train, validation, sample.labels), validation[0])
    demand(
        np.isfinite(outputs).all(),
        sample.task,
        "has a probe that a constant feature spoils",
        "Divide by no spread of zero",
    )


def scores_and_losses_have_one_row_an_item(sample: Sample) -> None:
    """Finite numbers (N,), in the items' order; a loss depends on its own item alone."""
    for outputs, targets in sample.drawn():
        rows_of_scores_and_losses(sample.task, outputs, targets)


def rows_of_scores_and_losses(task: Task, outputs: np.ndarray, targets: np.ndarray) -> None:
    """Those of some outputs (N, labels)."""
    scores, losses = task.scores(outputs, targets), task.losses(outputs, targets)
    demand(
        scores.shape == losses.shape == (len(targets),),
        task,
        f"has scores of shape {scores.shape} and losses of {losses.shape} for {len(targets)} items",
        "Answer (N,) in both",
    )
    demand(
        np.isfinite(scores).all() and np.isfinite(losses).all(),
        task,
        "has scores or losses that are not finite",
        "Bound them",
    )
    turned = slice(None, None, -1)
    demand(
        np.allclose(task.scores(outputs[turned], targets[turned]), scores[turned]),
        task,
        "scores items by where they stand",
        "Score each row alike",
    )
    alone = [task.losses(outputs[n : n + 1], targets[n : n + 1])[0] for n in range(len(targets))]
    demand(
        np.allclose(alone, losses, rtol=1e-5, atol=1e-5),
        task,
        "has losses that depend on other items",
        "Compute each from its own row",
    )


def decoded_answers_are_json(sample: Sample) -> None:
    """One for each item, the same once written and read."""
    for outputs, _ in sample.drawn():
        decoded_rows(sample.task, outputs, sample.labels)


def decoded_rows(task: Task, outputs: np.ndarray, labels: Sequence[str]) -> None:
    """Those of some outputs (N, labels)."""
    answers = task.decode(outputs, labels)
    demand(
        len(answers) == len(outputs),
        task,
        f"decodes {len(outputs)} items into {len(answers)} answers",
        "Answer one for each row",
    )
    try:
        same = json.loads(json.dumps(answers, allow_nan=False)) == answers
    except (TypeError, ValueError):
        same = False
    demand(
        same,
        task,
        "decodes answers that JSON can't hold",
        "Make them of float(), int(), str(), lists and dictionaries",
    )


def no_constant_answer_loses_less_than_naive(sample: Sample) -> None:
    """`naive` is the best constant."""
    for outputs, targets in sample.drawn():
        naive_is_the_best_constant(sample.task, outputs, targets, sample.labels)


def naive_is_the_best_constant(
    task: Task, outputs: np.ndarray, targets: np.ndarray, labels: Sequence[str]
) -> None:
    """Compared with each of some outputs (N, labels)."""
    constant = task.naive(targets, labels)
    demand(
        constant.shape == (len(labels),),
        task,
        f"has a naive answer of shape {constant.shape} for {len(labels)} outputs",
        "Answer (labels,)",
    )

    def loss(output: np.ndarray) -> float:
        return float(task.losses(np.tile(output, (len(targets), 1)), targets).mean())

    demand(
        all(loss(constant) <= loss(row) + 1e-2 for row in outputs),
        task,
        "has a naive answer that another constant beats",
        "Answer the constant with the least loss on the training targets",
    )


def features_that_are_not_finite_are_refused(sample: Sample) -> None:
    """They are the data's fault, and said so."""
    features, targets = sample.clouds(12, seed=0)
    features[3, 2] = np.nan
    with refused(sample.task, "features that are not finite", DataError, "not finite numbers"):
        sample.task.probe((features, targets), sample.clouds(12, seed=1), sample.labels)


CHECKS: Final[tuple[Callable[[Sample], None], ...]] = (
    is_documented_and_names_its_metric,
    a_step_answers_outputs_loss_features_and_targets,
    a_step_enters_at_the_boundary_of_its_batch,
    a_loss_stays_in_full_precision,
    heads_are_seeded_by_torch,
    a_probe_tells_clouds_apart,
    a_probe_bears_a_feature_that_never_changes,
    scores_and_losses_have_one_row_an_item,
    decoded_answers_are_json,
    no_constant_answer_loses_less_than_naive,
    features_that_are_not_finite_are_refused,
)
