"""By class: intervals that hold for few items, what the transfer hurts, and worst groups first."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix, f1_score, r2_score

from headstart.contracts import Task
from headstart.evidence import average
from headstart.evidence.by_class import (
    WIDEST_CONFUSION,
    by_class,
    by_group,
    holm,
    sign_chance,
)
from headstart.tasks.classification import Classification
from headstart.tasks.classification.multi_label import MultiLabel
from headstart.tasks.regression import Regression

LABELS = ("ants", "bees", "wasps")
few = settings(max_examples=40, deadline=None)


def answering(predicted: np.ndarray, labels: int = 3) -> np.ndarray:
    """Outputs that answer these classes."""
    return np.asarray(np.eye(labels, dtype=np.float32)[predicted])


def table(*given: Any) -> dict[str, Any]:
    """What `by_class` finds, which must survive JSON."""
    record = by_class(*given)
    assert record is not None
    assert json.loads(json.dumps(record)) == record
    return record


@few
@given(hits=st.integers(0, 40), misses=st.integers(0, 40))
def test_a_share_has_the_interval_that_scipy_gives(hits: int, misses: int) -> None:
    count = hits + misses
    if not count:
        return
    interval = average(np.repeat([1.0, 0.0], [hits, misses]))
    expected = binomtest(hits, count).proportion_ci(0.95, method="wilson")
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), abs=1e-6)
    assert 0 <= interval.low <= interval.value <= interval.high <= 1


@few
@given(gains=st.integers(0, 30), losses=st.integers(0, 30), same=st.integers(0, 5))
def test_pairs_are_tested_as_scipy_does(gains: int, losses: int, same: int) -> None:
    change = np.array([1.0] * gains + [-1.0] * losses + [0.0] * same)
    expected = binomtest(gains, gains + losses).pvalue if gains + losses else 1.0
    assert sign_chance(change) == pytest.approx(expected)


def test_many_tests_ask_for_more_than_one() -> None:
    chances = {"a": 0.01, "b": 0.02, "c": 0.03}
    assert holm(chances, 3) == ["a", "b", "c"]
    assert holm(chances, 4) == ["a"]
    assert holm(chances, 5) == ["a"]
    assert holm(chances, 6) == []
    assert holm({}, 9) == []


def test_fractions_are_resampled_and_may_lie_below_zero() -> None:
    scores = np.linspace(-2, 1, 50)
    interval = average(scores)
    assert interval.low < interval.value == pytest.approx(-0.5)
    assert interval.low > -1
    assert average(np.full(3, -2.0)).low == -4  # three items say as much of what varies


def test_each_class_has_its_accuracy_and_its_change() -> None:
    targets = np.repeat([0, 1, 2], 40)
    predicted, before = targets.copy(), targets.copy()
    predicted[40:60] = 2  # half of the bees are lost
    before[:20] = 1  # half of the ants are won
    rows = table(Classification(), LABELS, answering(predicted), targets, answering(before))
    ants, bees, wasps = rows["rows"]
    assert [row["label"] for row in rows["rows"]] == list(LABELS)
    assert (ants["value"], bees["value"], wasps["value"]) == (1.0, 0.5, 1.0)
    assert (ants["scratch"], bees["scratch"], wasps["scratch"]) == (0.5, 1.0, 1.0)
    assert ants["change"]["low"] > 0 > bees["change"]["high"]
    assert wasps["change"]["low"] < 0 < wasps["change"]["high"]
    assert ants["high"] == 1.0 > ants["low"] > 0.9
    assert rows["hurt"] == ["bees"]
    assert rows["ntg"]["value"] == 0
    assert "'bees' at 0.500" in rows["said"]
    assert "hurts 'bees' (3 classes tested)" in rows["said"]
    assert rows["confusion"] == confusion_matrix(targets, predicted).tolist()


def test_a_gap_has_the_sign_of_the_harm() -> None:
    targets = np.repeat([0, 1, 2], 20)
    bad = answering(np.zeros(60, dtype=int))
    rows = table(Classification(), LABELS, bad, targets, answering(targets))
    assert rows["ntg"]["low"] > 0
    assert rows["ntg"]["value"] == pytest.approx(2 / 3, abs=1e-5)


def test_chance_hurts_no_class() -> None:
    rng = np.random.default_rng(0)
    hurt_count = 0
    for _ in range(20):
        targets = np.repeat(np.arange(10), 15)
        arms = [np.where(rng.random(150) < 0.7, targets, (targets + 1) % 10) for _ in range(2)]
        labels = [str(number) for number in range(10)]
        after, before = (answering(arm, 10) for arm in arms)
        hurt_count += bool(table(Classification(), labels, after, targets, before)["hurt"])
    assert hurt_count <= 3


def test_a_class_without_items_has_no_value() -> None:
    targets = np.array([0, 0, 1])
    rows = table(Classification(), LABELS, answering(targets), targets, answering(targets))
    row = rows["rows"][2]
    assert (row["items"], row["value"], row["low"], row["change"]) == (0, None, None, None)
    assert rows["confusion"][2] == [0, 0, 0]


def test_without_scratch_there_is_no_change() -> None:
    targets = np.array([0, 1, 2, 2])
    rows = table(Classification(), LABELS, answering(targets), targets)
    assert {row["change"] for row in rows["rows"]} == {None}
    assert (rows["ntg"], rows["hurt"]) == (None, [])
    assert "transfer" not in rows["said"]


def test_a_wide_matrix_is_left_out() -> None:
    count = WIDEST_CONFUSION + 1
    targets = np.arange(count)
    rows = table(Classification(), targets.astype(str), answering(targets, count), targets)
    assert rows["confusion"] is None
    assert len(rows["rows"]) == count


def test_each_label_of_a_set_has_its_f1() -> None:
    rng = np.random.default_rng(0)
    targets = (rng.random((200, 3)) < [0.5, 0.2, 0.0]).astype(np.float32)
    outputs = (targets - 0.5) * 2
    outputs[:, 2] = -1
    flipped = rng.random((200, 2)) < 0.1
    outputs[:, :2] = np.where(flipped, -outputs[:, :2], outputs[:, :2])
    worse = outputs.copy()
    worse[:100, 0] = -1
    rows = table(MultiLabel(), LABELS, worse, targets, outputs)
    expected = f1_score(targets, worse > 0, average=None, zero_division=0.0)
    first, second, third = rows["rows"]
    assert (first["value"], second["value"]) == pytest.approx(expected[:2], abs=1e-5)
    assert first["low"] < first["value"] < first["high"]
    assert first["items"] == targets[:, 0].sum()
    assert (third["items"], third["value"], third["change"]) == (0, None, None)
    assert rows["hurt"] == ["ants"]
    assert second["change"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert rows["confusion"] is None


def test_each_number_has_its_r2_in_any_unit() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(0, 1, (300, 3))
    outputs = truth + rng.normal(0, [0.1, 1.0, 0.1], (300, 3))
    targets = truth * np.array([5e3, 1e-9, 0.0]) + [100, -2e-9, 7]
    task = Regression(mean=(100.0, -2e-9, 7.0), scale=(5e3, 1e-9, 0.0))
    before = truth + rng.normal(0, 0.3, (300, 3))
    rows = table(task, LABELS, outputs, targets, before)
    expected = r2_score(truth, outputs, multioutput="raw_values")
    values = [row["value"] for row in rows["rows"]]
    assert values[:2] == pytest.approx(expected[:2], abs=1e-4)
    assert values[2] is None
    assert rows["hurt"] == ["bees"]
    assert rows["rows"][0]["change"]["low"] > 0
    single = table(Regression((100.0,), (5e3,)), ["price"], outputs[:, :1], targets[:, :1])
    assert single["rows"][0]["value"] == values[0]
    assert "number is 'price'" in single["said"]


def test_another_kind_of_answer_is_left_alone() -> None:
    class Other:
        kind = "sentences"

    other: Any = Other()
    task: Task = other
    assert by_class(task, LABELS, np.zeros((2, 3)), np.zeros(2)) is None


def test_the_worst_group_comes_first() -> None:
    scores = np.array([1, 1, 1, 0, 0, 1, 0, 0], dtype=np.float64)
    groups = ["a", "a", "a", "b", "b", "b", "c", "c"]
    result = by_group(scores, groups)
    assert [(row["group"], row["items"]) for row in result] == [("c", 2), ("b", 3), ("a", 3)]
    assert [row["value"] for row in result] == [0.0, 0.33333, 1.0]
    assert all(row["low"] <= row["value"] <= row["high"] for row in result)
    assert json.loads(json.dumps(result)) == result
    assert by_group(scores - 0.5, groups)[0]["value"] == -0.5
    beside = by_group(scores, groups, scratch=1 - scores)
    assert [row["scratch"] for row in beside] == [1.0, pytest.approx(2 / 3), 0.0]
