"""What the flow relies on in any task, whatever kind of answer it gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from headstart import catalog
from headstart.contracts import Task
from headstart.testing.tasks import CHECKS, answers, subject
from headstart.testing.tasks.sample import Sample, answer

NAMES = catalog.names("tasks")
every_name = pytest.mark.parametrize("name", sorted(NAMES))
# one name a class: a task is the same in every modality; those of maps have tests of their own
OF_ROWS = [name for name in NAMES if not catalog.part("tasks", name).reads_maps]
every_task = pytest.mark.parametrize(
    "name", sorted({NAMES[name]: name for name in OF_ROWS}.values())
)
LABELS = ("ant", "bee", "cat")
finite = st.floats(-50, 50, width=32)


def sample(name: str) -> Sample:
    """What the checks take."""
    return subject(catalog.task(name), None)


@st.composite
def outputs_and_targets(draw: st.DrawFn, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Outputs (N, labels) and targets of the task's kind."""
    count = draw(st.integers(1, 12))
    outputs = draw(arrays.arrays(np.float32, (count, len(LABELS)), elements=finite))
    kind = catalog.task(name).kind
    if kind == "classes":
        elements: st.SearchStrategy[Any] = st.integers(0, len(LABELS) - 1)
        return outputs, draw(arrays.arrays(np.int64, count, elements=elements))
    elements = finite if kind == "numbers" else st.sampled_from([0.0, 1.0])
    return outputs, draw(arrays.arrays(np.float32, (count, len(LABELS)), elements=elements))


@every_task
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_it_keeps_its_contract(check: Callable[[Sample], None], name: str) -> None:
    check(sample(name))


@every_name
def test_it_is_named_after_a_modality_and_has_a_known_kind(name: str) -> None:
    assert catalog.task(name).kind in catalog.names("targets")
    task = catalog.task(name)
    assert task.has_probe is (type(task).probe is not Task.probe)
    assert name.split("-")[0] in catalog.names("modalities")


@every_task
def test_a_probe_separates_what_is_separable(name: str) -> None:
    examples = sample(name)
    head = examples.task.probe(examples.clouds(30, seed=1), examples.clouds(15, seed=2), LABELS)
    features, targets = examples.clouds(60, seed=3)
    assert examples.task.scores(answer(head, features), targets).mean() > 0.95


@every_task
@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_a_probe_does_not_mind_the_features_scale_or_offset(name: str, scale: float) -> None:
    examples = sample(name)

    def scaled(pair: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        return (pair[0] * np.float32(scale) + np.float32(scale * 5), pair[1])

    train, validation = (examples.clouds(30 // n, n, distance=2.0) for n in (1, 2))
    features, _ = examples.clouds(20, 3, distance=2.0)
    plain = answer(examples.task.probe(train, validation, LABELS), features)
    head = examples.task.probe(scaled(train), scaled(validation), LABELS)
    other = answer(head, scaled((features, features))[0])
    np.testing.assert_allclose(other, plain, atol=0.05)


@every_task
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_scores_and_losses_have_one_row_an_item(name: str, data: st.DataObject) -> None:
    task, (outputs, targets) = catalog.task(name), data.draw(outputs_and_targets(name))
    answers.rows_of_scores_and_losses(task, outputs, targets)
    assert (task.scores(outputs, targets) <= 1).all()
    assert (task.losses(outputs, targets) >= -1e-5).all()


@every_task
def test_right_answers_score_one(name: str) -> None:
    task, targets = catalog.task(name), np.tile(sample(name).three, 3)
    if task.kind != "classes":
        targets = np.tile(sample(name).three, (3, 1))
    right = np.eye(3)[targets] if task.kind == "classes" else targets
    right = right - 0.5 * (task.kind == "label sets")
    np.testing.assert_array_equal(task.scores(right, targets), np.ones(9))


@every_task
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_decoded_answers_are_json(name: str, data: st.DataObject) -> None:
    answers.decoded_rows(catalog.task(name), data.draw(outputs_and_targets(name))[0], LABELS)


@every_task
@given(data=st.data())
def test_no_constant_answer_loses_less_than_the_naive_one(name: str, data: st.DataObject) -> None:
    outputs, targets = data.draw(outputs_and_targets(name))
    answers.naive_is_the_best_constant(catalog.task(name), outputs, targets, LABELS)
