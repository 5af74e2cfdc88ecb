"""Calibration: a temperature that is found again, an error that is measured, and one that isn't."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from headstart.contracts.model import Model
from headstart.contracts.standardisation import label_shares
from headstart.evidence.calibration import (
    BINS,
    LEAST,
    MOST,
    bins_of,
    calibration,
    calibration_error,
    folded,
    reliability,
    shares,
    temperature,
)
from headstart.tasks.classification import Classification

few = settings(max_examples=40, deadline=None)


def drawn(count: int, labels: int, hot: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Outputs whose softmax at temperature `hot` are the probabilities that labels came from."""
    rng = np.random.default_rng(seed)
    outputs = rng.normal(0, 2, (count, labels))
    below = shares(outputs).cumsum(axis=1)
    targets = (below > rng.random((count, 1))).argmax(axis=1)
    return (outputs * hot).astype(np.float32), targets


@pytest.mark.parametrize("hot", [0.3, 1.0, 4.0])
def test_a_planted_temperature_is_found(hot: float) -> None:
    assert temperature(*drawn(4000, 5, hot)) == pytest.approx(hot, rel=0.1)


def test_scaling_lowers_the_loss_on_other_items() -> None:
    task = Classification()
    for count in (20, 60):
        gains = []
        for seed in range(10):
            picked = temperature(*drawn(count, 5, 3.0, seed))
            outputs, targets = drawn(1000, 5, 3.0, 100 + seed)
            losses = (task.losses(each, targets).mean() for each in (outputs, outputs / picked))
            gains.append(next(losses) - next(losses))
        assert min(gains) > 0


def test_where_labels_count_alike_the_temperature_is_that_of_evenly_many_items() -> None:
    outputs, targets = drawn(3000, 2, 3.0)
    outputs[targets == 1] *= 0.4  # less sure of the label that is to be rare
    rare = np.concatenate([np.flatnonzero(targets == 0), np.flatnonzero(targets == 1)[:150]])
    even = np.concatenate([np.flatnonzero(targets == each)[:1200] for each in (0, 1)])
    of_even = temperature(outputs[even], targets[even])
    rare_pair = outputs[rare], targets[rare]
    weighed = temperature(*rare_pair, label_shares(targets[rare]))
    assert weighed == pytest.approx(of_even, rel=0.15)
    assert temperature(*rare_pair) > 1.3 * weighed
    pair = {"test": rare_pair[0]}, {"test": rare_pair[1]}
    even_pair = {"test": outputs[even]}, {"test": targets[even]}
    record, expected = calibration(*pair, balanced=True), calibration(*even_pair)
    plain = calibration(*pair)
    assert record and expected and plain
    off = abs(record["ece"]["value"] - expected["ece"]["value"])
    assert off < abs(plain["ece"]["value"] - expected["ece"]["value"]) / 2


@few
@given(
    count=st.integers(1, 30),
    labels=st.integers(2, 5),
    hot=st.floats(0.01, 100),
    seed=st.integers(0, 5),
)
def test_a_temperature_is_bounded_and_changes_no_answer(
    count: int, labels: int, hot: float, seed: int
) -> None:
    outputs, targets = drawn(count, labels, hot, seed)
    value = temperature(outputs, targets)
    assert LEAST * 0.999 <= value <= MOST * 1.001
    assert value == pytest.approx(temperature(outputs + 7, targets), rel=1e-3)
    scaled = outputs.astype(np.float64) / value
    assert (scaled.argmax(axis=1) == outputs.argmax(axis=1)).all()


def test_separated_validation_items_do_not_call_for_certainty() -> None:
    targets = np.arange(40) % 2
    outputs = np.where(np.eye(2)[targets] > 0, 1.0, -1.0)
    value = temperature(outputs, targets)
    assert LEAST < value < 1
    assert 0.9 < shares(outputs / value).max() < 0.999
    assert temperature(outputs * 20, targets) == pytest.approx(1, abs=0.01)  # certain already


def test_few_items_move_it_less_than_many() -> None:
    moved = []
    for count in (5, 20, 1000):
        results = [temperature(*drawn(count, 5, 3.0, seed)) for seed in range(20)]
        moved.append(float(np.log(results).mean()))
    assert 0 < moved[0] < moved[1] < moved[2] == pytest.approx(np.log(3), rel=0.05)


@pytest.mark.parametrize(
    "outputs", [np.zeros((0, 3)), np.zeros((4, 3)), np.full((4, 3), 2.5), np.ones((4, 1))]
)
def test_what_tells_nothing_is_left_as_it_is(outputs: np.ndarray) -> None:
    assert temperature(outputs, np.zeros(len(outputs), dtype=np.int64)) == 1.0


def test_a_folded_head_gives_what_scaling_gives() -> None:
    torch.manual_seed(0)
    model = Model({"stem": nn.Linear(4, 6)}, nn.Linear(6, 3))
    inputs = torch.randn(50, 4)
    cooler = folded(model, 2.5)
    assert isinstance(cooler, Model)
    with torch.inference_mode():
        before = model(inputs).numpy()
        after = cooler(inputs).numpy()
        unchanged = model(inputs).numpy()
    assert after == pytest.approx(before / 2.5, abs=1e-6)
    assert (after.argmax(axis=1) == before.argmax(axis=1)).all()
    assert (unchanged == before).all()
    assert cooler.names == ("stem",)
    assert folded(Model({"stem": nn.Linear(4, 6)}, nn.Sequential(nn.ReLU())), 2.5) is None


@few
@given(
    values=st.lists(st.sampled_from([0.5, 0.6, 0.61, 0.9, 1.0]), min_size=1, max_size=400),
    seed=st.integers(0, 3),
)
def test_bins_hold_equal_confidences_together(values: list[float], seed: int) -> None:
    confidence = np.array(values)
    places = bins_of(confidence)
    assert places.min() == 0
    assert places.max() < BINS
    assert all(len(set(places[confidence == value])) == 1 for value in values)
    order = np.random.default_rng(seed).permutation(len(values))
    assert (bins_of(confidence[order]) == places[order]).all()
    assert (np.diff(places[np.argsort(confidence)]) >= 0).all()


def test_bins_are_fifteen_and_of_equal_mass() -> None:
    sizes = np.bincount(bins_of(np.random.default_rng(0).random(1500)))
    assert sizes.tolist() == [100] * BINS


def test_the_error_is_the_distance_of_confidence_from_accuracy() -> None:
    confidence = np.concatenate([np.full(100, 0.9), np.full(100, 0.6)])
    right = np.concatenate([np.arange(100) < 70, np.arange(100) < 80]).astype(np.float64)
    error = calibration_error(confidence, right)
    assert error.value == pytest.approx((0.2 + 0.2) / 2)
    assert 0 < error.low < 0.2 < error.high < 0.4
    assert [(row["confidence"], row["accuracy"]) for row in reliability(confidence, right)] == [
        (0.6, 0.8),
        (0.9, 0.7),
    ]


def test_an_error_that_chance_gives_has_an_interval_from_zero() -> None:
    for seed in range(5):
        outputs, targets = drawn(150, 4, 1.0, seed)
        confidence = shares(outputs).max(axis=1)
        error = calibration_error(confidence, (outputs.argmax(axis=1) == targets) * 1.0)
        assert 0 == error.low < error.value <= error.high


@few
@given(hits=st.lists(st.booleans(), min_size=1, max_size=40), seed=st.integers(-2, 2))
def test_an_interval_holds_its_value_inside_the_scale(hits: list[bool], seed: int) -> None:
    right = np.array(hits, dtype=np.float64)
    error = calibration_error(np.linspace(0.4, 1, len(hits)), right, seed)
    assert 0 <= error.low <= error.value <= error.high <= 1


def test_the_record_tells_what_scaling_mends() -> None:
    pairs = {"validation": drawn(400, 5, 4.0), "test": drawn(600, 5, 4.0, 1)}
    outputs = {name: pair[0] for name, pair in pairs.items()}
    targets = {name: pair[1] for name, pair in pairs.items()}
    record = calibration(outputs, targets, outputs["test"] * 3)
    assert record is not None
    assert record == json.loads(json.dumps(record))
    assert record["temperature"] == pytest.approx(4, rel=0.2)
    assert record["ece_scaled"]["high"] < record["ece"]["low"]
    assert record["scratch_ece"]["value"] > record["ece"]["value"]
    assert {row["items"] for row in record["bins"]} == {40}
    accuracy = sum(row["accuracy"] for row in record["bins"])
    assert accuracy == pytest.approx(sum(row["accuracy"] for row in record["bins_scaled"]), abs=1)
    without = calibration(outputs, targets)
    assert without is not None
    assert without["scratch_ece"] is None


@pytest.mark.parametrize("kind", ["numbers", "label sets"])
def test_other_kinds_have_no_such_probabilities(kind: str) -> None:
    pair = {name: np.zeros((3, 2)) for name in ("validation", "test")}
    assert calibration(pair, pair, kind=kind) is None
