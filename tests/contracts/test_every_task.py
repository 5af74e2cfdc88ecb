"""What the flow relies on in any task, whatever kind of answer it gives."""

from __future__ import annotations

import inspect
import json
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torch import nn

from headstart import catalog
from headstart.contracts import Batch, Task
from headstart.contracts.model import Model
from headstart.errors import DataError

NAMES = catalog.names("tasks")
every_name = pytest.mark.parametrize("name", sorted(NAMES))
# one name a class: a task is the same in every modality
every_task = pytest.mark.parametrize("name", sorted({NAMES[name]: name for name in NAMES}.values()))
LABELS = ("ant", "bee", "cat")
WIDTH = 4
finite = st.floats(-50, 50, width=32)


def targets_for(kind: str, classes: np.ndarray) -> np.ndarray:
    """Targets of a kind that say of each item which of three clouds it lies in."""
    known: np.ndarray = np.eye(3, dtype=np.float32)[classes]
    scale, middle = np.array([[2, 1, -5], [0, 10, 0]], dtype=np.float32)
    sets = known + np.roll(known, 1, axis=1)
    numbers = known * scale + middle
    made: dict[str, np.ndarray] = {"classes": classes, "label sets": sets, "numbers": numbers}
    return made[kind]


@st.composite
def answers(draw: st.DrawFn, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Outputs (N, labels) and targets of the task's kind."""
    count = draw(st.integers(1, 12))
    outputs = draw(arrays.arrays(np.float32, (count, len(LABELS)), elements=finite))
    kind = catalog.task(name).kind
    if kind == "classes":
        elements: st.SearchStrategy[Any] = st.integers(0, len(LABELS) - 1)
        return outputs, draw(arrays.arrays(np.int64, count, elements=elements))
    elements = finite if kind == "numbers" else st.sampled_from([0.0, 1.0])
    return outputs, draw(arrays.arrays(np.float32, (count, len(LABELS)), elements=elements))


def clouds(count: int, seed: int, distance: float = 12.0) -> tuple[np.ndarray, np.ndarray]:
    """Features (N, 4) of three clouds, and the number of each item's cloud."""
    rng = np.random.default_rng(seed)
    classes = np.arange(count) % len(LABELS)
    features = rng.normal(0, 1, (count, WIDTH)).astype(np.float32)
    features[np.arange(count), classes] += distance
    return features, classes


def blobs(
    task: Task, count: int, seed: int, distance: float = 12.0
) -> tuple[np.ndarray, np.ndarray]:
    """Features (N, 4) of three clouds, and targets that say which."""
    features, classes = clouds(count, seed, distance)
    return features, targets_for(task.kind, classes)


def network(task: Task, head: nn.Module | None = None) -> Model:
    return Model({"all": nn.Linear(WIDTH, WIDTH)}, head or task.head(WIDTH, LABELS))


def answer(head: nn.Module, features: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        outputs: np.ndarray = head(torch.from_numpy(features)).numpy()
    return outputs


@every_name
def test_it_is_documented_and_names_its_metric(name: str) -> None:
    task = catalog.task(name)
    assert isinstance(task, Task)
    assert inspect.getdoc(type(task))
    assert task.metric.isidentifier()
    assert task.kind in catalog.names("targets")
    assert task.has_probe is (type(task).probe is not Task.probe)
    assert name.split("-")[0] in catalog.names("modalities")


@every_task
def test_the_constructor_only_stores(name: str) -> None:
    part = catalog.part("tasks", name)
    given_values = {option: object() for option in inspect.signature(part).parameters}
    stored = vars(part(**given_values))
    assert {key: stored[key] for key in given_values} == given_values
    assert stored.keys() == given_values.keys()


@every_task
def test_a_step_answers_outputs_loss_features_and_targets(name: str) -> None:
    task = catalog.task(name)
    model = network(task)
    nn.init.normal_(next(model.head.parameters()))
    features, targets = blobs(task, 6, seed=0)
    step = task.step(model, Batch(torch.from_numpy(features), torch.from_numpy(targets)))
    assert step.outputs.shape == (6, len(LABELS))
    assert step.features.shape == (6, WIDTH)
    assert step.loss.shape == ()
    assert torch.equal(step.targets, torch.from_numpy(targets))
    torch.testing.assert_close(step.outputs, model(torch.from_numpy(features)))
    losses = task.losses(step.outputs.detach().numpy(), targets)
    assert step.loss.item() == pytest.approx(float(losses.mean()), rel=1e-5)
    torch.autograd.backward(step.loss)
    assert all(parameter.grad is not None for parameter in model.parameters())


@every_task
def test_a_step_enters_at_the_boundary_of_its_batch(name: str) -> None:
    task = catalog.task(name)
    model = Model({"spoils": nn.Linear(1, 1), "all": nn.Identity()}, task.head(WIDTH, LABELS))
    features, targets = blobs(task, 3, seed=0)
    batch = Batch(torch.from_numpy(features), torch.from_numpy(targets), start=1)
    assert torch.equal(task.step(model, batch).features, batch.inputs)


@every_task
def test_a_loss_stays_in_full_precision_under_autocast(name: str) -> None:
    task = catalog.task(name)
    features, targets = blobs(task, 4, seed=0)
    with torch.autocast("cpu", torch.bfloat16):
        step = task.step(
            network(task), Batch(torch.from_numpy(features), torch.from_numpy(targets))
        )
    assert step.loss.dtype == torch.float32


@every_task
def test_heads_are_seeded_by_torch(name: str) -> None:
    heads = []
    for _ in range(2):
        torch.manual_seed(3)
        heads.append(catalog.task(name).head(WIDTH, LABELS).state_dict())
    assert all(torch.equal(heads[0][key], heads[1][key]) for key in heads[0])


@every_task
def test_a_probe_separates_what_is_separable(name: str) -> None:
    task = catalog.task(name)
    head = task.probe(blobs(task, 30, seed=1), blobs(task, 15, seed=2), LABELS)
    features, targets = blobs(task, 60, seed=3)
    assert task.scores(answer(head, features), targets).mean() > 0.95
    fresh = task.head(WIDTH, LABELS)
    assert {k: v.shape for k, v in head.state_dict().items()} == {
        k: v.shape for k, v in fresh.state_dict().items()
    }


@every_task
@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_a_probe_does_not_mind_the_features_scale_or_offset(name: str, scale: float) -> None:
    task = catalog.task(name)

    def scaled(examples: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        return (examples[0] * np.float32(scale) + np.float32(scale * 5), examples[1])

    given_examples, checked = (blobs(task, 30 // n, n, distance=2.0) for n in (1, 2))
    features, _ = blobs(task, 20, 3, distance=2.0)
    plain = answer(task.probe(given_examples, checked, LABELS), features)
    head = task.probe(scaled(given_examples), scaled(checked), LABELS)
    other = answer(head, scaled((features, features))[0])
    np.testing.assert_allclose(other, plain, atol=0.05)


@every_task
def test_a_probe_bears_a_feature_that_never_changes(name: str) -> None:
    task = catalog.task(name)
    examples, checked = blobs(task, 30, seed=1), blobs(task, 15, seed=2)
    for features, _ in (examples, checked):
        features[:, 3] = 7.0
    outputs = answer(task.probe(examples, checked, LABELS), checked[0])
    assert np.isfinite(outputs).all()
    assert task.scores(outputs, checked[1]).mean() > 0.95


@every_task
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_scores_and_losses_have_one_row_an_item(name: str, data: st.DataObject) -> None:
    task, (outputs, targets) = catalog.task(name), data.draw(answers(name))
    scores, losses = task.scores(outputs, targets), task.losses(outputs, targets)
    assert scores.shape == losses.shape == (len(targets),)
    assert np.isfinite(scores).all()
    assert np.isfinite(losses).all()
    assert (scores <= 1).all()
    assert (losses >= -1e-5).all()
    turned = slice(None, None, -1)
    np.testing.assert_allclose(task.scores(outputs[turned], targets[turned]), scores[turned])
    for row in range(len(targets)):
        alone = slice(row, row + 1)
        assert task.losses(outputs[alone], targets[alone])[0] == pytest.approx(losses[row])


@every_task
def test_right_answers_score_one(name: str) -> None:
    task = catalog.task(name)
    kind, targets = task.kind, targets_for(task.kind, np.arange(9) % 3)
    right = np.eye(3)[targets] if kind == "classes" else targets - 0.5 * (kind == "label sets")
    np.testing.assert_array_equal(task.scores(right, targets), np.ones(9))


@every_task
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_decoded_answers_are_json(name: str, data: st.DataObject) -> None:
    task, (outputs, _) = catalog.task(name), data.draw(answers(name))
    decoded = task.decode(outputs, LABELS)
    assert len(decoded) == len(outputs)
    assert json.loads(json.dumps(decoded)) == decoded


@every_task
@given(data=st.data())
def test_no_constant_answer_loses_less_than_the_naive_one(name: str, data: st.DataObject) -> None:
    task, (outputs, targets) = catalog.task(name), data.draw(answers(name))
    constant = task.naive(targets, LABELS)
    assert constant.shape == (len(LABELS),)

    def loss(output: np.ndarray) -> float:
        return float(task.losses(np.tile(output, (len(targets), 1)), targets).mean())

    assert all(loss(constant) <= loss(row) + 1e-2 for row in outputs)


@every_task
def test_features_that_are_not_finite_are_refused(name: str) -> None:
    task = catalog.task(name)
    features, targets = blobs(task, 12, seed=0)
    features[3, 2] = np.nan
    with pytest.raises(DataError, match="not finite numbers"):
        task.probe((features, targets), blobs(task, 12, seed=1), LABELS)
