"""What the flow relies on in any task, whatever kind of answer it gives."""

from __future__ import annotations

import inspect
import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torch import nn

from headstart import catalog
from headstart.contracts import Batch, Task
from headstart.model import Model

every_task = pytest.mark.parametrize("name", sorted(catalog.names("tasks")))
LABELS = ("ant", "bee", "cat")
WIDTH = 4
finite = st.floats(-50, 50, width=32)


@st.composite
def answers(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Outputs (N, labels) and targets (N,)."""
    count = draw(st.integers(1, 12))
    outputs = draw(arrays.arrays(np.float32, (count, len(LABELS)), elements=finite))
    targets = draw(arrays.arrays(np.int64, count, elements=st.integers(0, len(LABELS) - 1)))
    return outputs, targets


def blobs(count: int, seed: int, distance: float = 6.0) -> tuple[np.ndarray, np.ndarray]:
    """Features (N, 4) of one cloud a label, and the labels."""
    rng = np.random.default_rng(seed)
    targets = np.arange(count) % len(LABELS)
    features = rng.normal(0, 1, (count, WIDTH)).astype(np.float32)
    features[np.arange(count), targets] += distance
    return features, targets


def network(task: Task, head: nn.Module | None = None) -> Model:
    return Model({"all": nn.Linear(WIDTH, WIDTH)}, head or task.head(WIDTH, LABELS))


def answer(head: nn.Module, features: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        outputs: np.ndarray = head(torch.from_numpy(features)).numpy()
    return outputs


@every_task
def test_it_is_documented_and_names_its_metric(name: str) -> None:
    task = catalog.task(name)
    assert isinstance(task, Task)
    assert inspect.getdoc(type(task))
    assert task.metric.isidentifier()
    assert name.split("-")[0] in catalog.names("modalities")


@every_task
def test_the_constructor_only_stores(name: str) -> None:
    part = catalog.part("tasks", name)
    given_values = {option: object() for option in inspect.signature(part).parameters}
    stored = vars(part(**given_values))
    assert {key: stored[key] for key in given_values} == given_values
    assert stored.keys() == given_values.keys()


@every_task
def test_a_step_answers_outputs_loss_and_features(name: str) -> None:
    task = catalog.task(name)
    model = network(task)
    nn.init.normal_(next(model.head.parameters()))
    features, targets = blobs(6, seed=0)
    step = task.step(model, Batch(torch.from_numpy(features), torch.from_numpy(targets)))
    assert step.outputs.shape == (6, len(LABELS))
    assert step.features.shape == (6, WIDTH)
    assert step.loss.shape == ()
    torch.testing.assert_close(step.outputs, model(torch.from_numpy(features)))
    losses = task.losses(step.outputs.detach().numpy(), targets)
    assert step.loss.item() == pytest.approx(float(losses.mean()), rel=1e-5)
    torch.autograd.backward(step.loss)
    assert all(parameter.grad is not None for parameter in model.parameters())


@every_task
def test_a_step_enters_at_the_boundary_of_its_batch(name: str) -> None:
    task = catalog.task(name)
    model = Model({"spoils": nn.Linear(1, 1), "all": nn.Identity()}, task.head(WIDTH, LABELS))
    features, targets = blobs(3, seed=0)
    batch = Batch(torch.from_numpy(features), torch.from_numpy(targets), start=1)
    assert torch.equal(task.step(model, batch).features, batch.inputs)


@every_task
def test_a_loss_stays_in_full_precision_under_autocast(name: str) -> None:
    task = catalog.task(name)
    features, targets = blobs(4, seed=0)
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
    head = task.probe(blobs(30, seed=1), blobs(15, seed=2), LABELS)
    features, targets = blobs(60, seed=3)
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

    given_examples, checked = blobs(30, 1, distance=2.0), blobs(15, 2, distance=2.0)
    features, _ = blobs(20, 3, distance=2.0)
    plain = answer(task.probe(given_examples, checked, LABELS), features)
    head = task.probe(scaled(given_examples), scaled(checked), LABELS)
    other = answer(head, scaled((features, features))[0])
    np.testing.assert_allclose(other, plain, atol=0.05)


@every_task
def test_a_probe_bears_a_feature_that_never_changes(name: str) -> None:
    task = catalog.task(name)
    examples, checked = blobs(30, seed=1), blobs(15, seed=2)
    for features, _ in (examples, checked):
        features[:, 3] = 7.0
    outputs = answer(task.probe(examples, checked, LABELS), checked[0])
    assert np.isfinite(outputs).all()
    assert task.scores(outputs, checked[1]).mean() > 0.95


@every_task
@pytest.mark.parametrize("absent", range(len(LABELS)))
@settings(max_examples=20, deadline=None)
@given(scale=st.floats(0, 1e4), seed=st.integers(0, 9))
def test_a_label_without_training_examples_is_never_predicted(
    name: str, absent: int, scale: float, seed: int
) -> None:
    task = catalog.task(name)
    features, targets = blobs(15, seed=1)
    kept = targets != absent
    head = task.probe((features[kept], targets[kept]), blobs(9, seed=2), LABELS)
    anywhere = np.random.default_rng(seed).normal(0, scale, (50, WIDTH)).astype(np.float32)
    for row in task.decode(answer(head, anywhere), LABELS):
        assert row["label"] != LABELS[absent]
        assert row["probabilities"][LABELS[absent]] < 1e-6


@every_task
@settings(max_examples=50, deadline=None)
@given(found=answers())
def test_scores_and_losses_have_one_row_an_item(
    name: str, found: tuple[np.ndarray, np.ndarray]
) -> None:
    task, (outputs, targets) = catalog.task(name), found
    scores, losses = task.scores(outputs, targets), task.losses(outputs, targets)
    assert scores.shape == losses.shape == targets.shape
    assert np.isfinite(scores).all()
    assert np.isfinite(losses).all()
    assert (losses >= -1e-5).all()
    for row in range(len(targets)):
        alone = slice(row, row + 1)
        assert task.scores(outputs[alone], targets[alone])[0] == scores[row]
        assert task.losses(outputs[alone], targets[alone])[0] == pytest.approx(losses[row])


@every_task
@settings(max_examples=50, deadline=None)
@given(found=answers())
def test_decoded_answers_agree_with_the_scores_and_are_json(
    name: str, found: tuple[np.ndarray, np.ndarray]
) -> None:
    task, (outputs, targets) = catalog.task(name), found
    decoded = task.decode(outputs, LABELS)
    assert len(decoded) == len(targets)
    assert json.loads(json.dumps(decoded)) == decoded
    right = [row["label"] == LABELS[target] for row, target in zip(decoded, targets, strict=True)]
    assert right == (task.scores(outputs, targets) == 1).tolist()
    for row in decoded:
        assert sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        assert tuple(row["probabilities"]) == LABELS
        assert row["probability"] == row["probabilities"][row["label"]]
        assert row["probability"] == max(row["probabilities"].values())


@every_task
@given(targets=arrays.arrays(np.int64, st.integers(1, 30), elements=st.integers(0, 2)))
def test_no_constant_answer_beats_the_naive_one(name: str, targets: np.ndarray) -> None:
    task = catalog.task(name)
    constant = task.naive(targets, LABELS)
    assert constant.shape == (len(LABELS),)

    def score(output: np.ndarray) -> float:
        return float(task.scores(np.tile(output, (len(targets), 1)), targets).mean())

    assert score(constant) == max(score(row) for row in np.eye(len(LABELS)))


@every_task
def test_weights_move_the_loss_and_the_probe_but_not_the_scores(name: str) -> None:
    plain = catalog.task(name)
    weighted = plain.weighted((5.0, 1.0, 1.0))
    assert type(weighted) is type(plain)
    assert weighted is not plain
    features, targets = blobs(30, seed=1, distance=1.0)
    model = network(plain)
    nn.init.normal_(next(model.head.parameters()))
    batch = Batch(torch.from_numpy(features), torch.from_numpy(targets))
    outputs = plain.step(model, batch).outputs.detach().numpy()
    shares = np.array([5.0, 1.0, 1.0])[targets]
    expected = np.average(plain.losses(outputs, targets), weights=shares)
    assert weighted.step(model, batch).loss.item() == pytest.approx(expected, rel=1e-5)
    assert (weighted.scores(outputs, targets) == plain.scores(outputs, targets)).all()
    assert (weighted.losses(outputs, targets) == plain.losses(outputs, targets)).all()
    first = [
        (answer(t.probe((features, targets), (features, targets), LABELS), features).argmax(1) == 0)
        for t in (plain, weighted)
    ]
    assert first[1].sum() > first[0].sum()
