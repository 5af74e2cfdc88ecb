"""Uneven classes: fitted, chosen and judged by one metric, and no constant answer in silence."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import headstart as hs
from headstart import catalog
from headstart.evidence import bootstrap
from headstart.evidence.by_class import by_class, by_group, within
from headstart.pipeline.cautions import constant

EVEN = catalog.task("text-classification")
BALANCED = catalog.task("text-classification", weights=(9.0, 1.0, 2.0), balanced=True)
LABELS = ("rare", "usual", "other")


@st.composite
def answers(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Outputs (N, 3) and targets (N,) in which some class may be missing."""
    targets = np.array(draw(st.lists(st.integers(0, 2), min_size=1, max_size=40)))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    return rng.normal(size=(len(targets), 3)).astype(np.float32), targets


@given(actual=answers())
def test_the_score_is_the_balanced_accuracy(actual: tuple[np.ndarray, np.ndarray]) -> None:
    outputs, targets = actual
    hits = outputs.argmax(axis=1) == targets
    classes = np.unique(targets)
    expected = np.mean([hits[targets == each].mean() for each in classes])
    assert BALANCED.scores(outputs, targets).mean() == pytest.approx(expected)
    assert EVEN.scores(outputs, targets).tolist() == hits.astype(float).tolist()
    losses = EVEN.losses(outputs, targets)
    mean = np.mean([losses[targets == each].mean() for each in classes])
    assert BALANCED.losses(outputs, targets).mean() == pytest.approx(mean, rel=1e-5)
    alone = within(BALANCED, outputs, targets, targets)
    assert alone == pytest.approx(hits.astype(float))


@given(count=st.integers(1, 30), outputs=answers())
def test_evenly_spread_classes_score_as_without_weights(
    count: int, outputs: tuple[np.ndarray, np.ndarray]
) -> None:
    targets = np.tile(np.arange(3), count)
    values = np.random.default_rng(count).normal(size=(len(targets), 3))
    scores = [task.scores(values, targets).mean() for task in (EVEN, BALANCED)]
    assert scores[0] == pytest.approx(scores[1])


def test_the_metric_says_which_it_is() -> None:
    assert (EVEN.metric, BALANCED.metric) == ("accuracy", "balanced accuracy")
    assert BALANCED.scores(np.empty((0, 3)), np.empty(0, dtype=int)).shape == (0,)


def test_the_spread_is_that_of_the_estimate() -> None:
    """Over many draws of items the interval's width is what the balanced accuracy varies by."""
    rng = np.random.default_rng(0)
    chances, right = np.array([0.05, 0.95]), np.array([0.7, 0.9])
    values, errors = [], []
    for _ in range(300):
        targets = (rng.random(2000) < chances[1]).astype(int)
        hits = rng.random(2000) < right[targets]
        outputs = np.eye(2)[np.where(hits, targets, 1 - targets)]
        scores = BALANCED.scores(outputs, targets)
        values.append(scores.mean())
        errors.append(scores.std() / 2000**0.5)
    assert np.mean(values) == pytest.approx(0.8, abs=0.005)
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.12)
    interval = bootstrap(BALANCED.scores(np.eye(2)[[0, 1, 1, 1]], np.array([0, 1, 1, 1])))
    assert (interval.value, interval.high) == (1.0, 1.0)


def test_each_class_and_group_keeps_its_own_accuracy() -> None:
    targets = np.array([0, 0, 1, 1, 1, 1, 1, 1])
    outputs = np.eye(3)[[0, 1, 1, 1, 1, 1, 1, 0]]
    record = by_class(BALANCED, LABELS, outputs, targets)
    assert record is not None
    values = {row["label"]: row["value"] for row in record["rows"]}
    assert values == {"rare": 0.5, "usual": pytest.approx(0.83333), "other": None}
    groups = ["a", "a", "a", "a", "b", "b", "b", "b"]
    rows = by_group(within(BALANCED, outputs, targets, groups), groups)
    assert {row["group"]: row["value"] for row in rows} == {"a": 0.75, "b": 0.75}


def test_a_constant_answer_is_never_handed_over_in_silence() -> None:
    targets = np.array([0, 1, 1, 1])
    same, mixed = np.eye(3)[[1, 1, 1, 1]], np.eye(3)[[0, 1, 1, 1]]
    (message,) = constant(same, targets, LABELS)
    assert message.startswith(
        "The model handed over answers 'usual' to each of the 4 held-out items"
    )
    assert constant(mixed, targets, LABELS) == []
    assert constant(same, np.ones(4, dtype=int), LABELS) == []  # nothing else could be right


def test_the_same_number_or_set_is_not_answered_in_silence_either() -> None:
    numbers = np.array([[1.0, 5.0], [2.0, 6.0], [3.0, 9.0]])
    drift = np.array([[0.1, 0.3], [0.1001, -0.4], [0.1, 0.2]])  # in standard deviations
    (message,) = constant(drift, numbers, ("price", "size"), "numbers")
    assert message.startswith("The model handed over answers the same 'price' to each of the 3")
    assert constant(drift + numbers, numbers, ("price", "size"), "numbers") == []
    sets = np.array([[1.0, 0.0], [0.0, 0.0]])
    (message,) = constant(np.array([[-1.0, -2.0], [-3.0, -4.0]]), sets, ("a", "b"), "label sets")
    assert "answers no label to each of the 2" in message
    (message,) = constant(np.array([[1.0, 2.0], [3.0, 4.0]]), sets, ("a", "b"), "label sets")
    assert "answers 'a', 'b' to each of the 2" in message
    assert constant(sets - 0.5, sets, ("a", "b"), "label sets") == []
    assert constant(np.ones((2, 2)), sets[:1].repeat(2, axis=0), ("a", "b"), "label sets") == []


@pytest.mark.parametrize("weights", ["auto", "none"])
def test_one_in_forty(weights: str, tmp_path: Path) -> None:
    rng = random.Random(1)
    words = "the film actor scene plot music camera story set".split()
    rows = ["text,label"]
    for number in range(800):
        rare = number < 20
        alert = "fraud alert" if rare and number % 4 else "ok"
        text = " ".join(rng.choices(words, k=7))
        rows.append(f"{text} {alert} {number},{'rare' if rare else 'usual'}")
    table = tmp_path / "table.csv"
    table.write_text("\n".join(rows) + "\n")
    settings = hs.Settings(scratch=False, evidence="none", class_weights=weights)
    result = hs.fit(
        table, "seeded:bag", tmp_path / "model", strategy="feature-extraction", settings=settings
    )
    record = result.to_json()
    chosen = record["arms"]["chosen"]
    constant_answer = any("answers 'usual' to each" in each for each in record["warnings"])
    if weights == "none":
        assert record["metric"] == "accuracy"
        assert constant_answer == (chosen["value"] == record["arms"]["naive"]["value"])
        return
    assert record["metric"] == "balanced accuracy"
    assert "chosen and judged by balanced accuracy" in record["protocol"]
    assert "balanced accuracy" in str(result)
    assert not constant_answer
    assert chosen["value"] > 0.7 > record["arms"]["naive"]["value"] == 0.5
    values = hs.evaluate(result.folder, table)
    assert values.metric == "balanced accuracy"
    assert values.by_label["rare"]["value"] > 0.5
    assert values.score.value == pytest.approx(
        np.mean([row["value"] for row in values.by_label.values()]), abs=1e-4
    )
