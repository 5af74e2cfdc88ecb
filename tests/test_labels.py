"""Learning curves: nested subsets, the labels saved, and honesty where none are."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart import catalog
from headstart.contracts import Examples
from headstart.data import nested
from headstart.evidence.intervals import average
from headstart.evidence.labels import (
    Curve,
    Saved,
    label_counts,
    saved,
    scratch_curve,
    transfer_curve,
)
from headstart.runtime.budget import Budget

TASK = catalog.task("image-classification")
LABELS = ("ant", "bee")
COUNTS = (20, 40, 80, 160)
few = settings(max_examples=8, deadline=None)  # each resamples two curves 500 times


def features(count: int, seed: int, apart: float = 0.7) -> Examples:
    """Two overlapping clouds of 6 numbers, and which one each item is of."""
    rng = np.random.default_rng(seed)
    targets = np.arange(count, dtype=np.int64) % 2
    cloud = rng.normal(size=(count, 6)) + apart * (targets[:, None] - 0.5)
    return cloud.astype(np.float32), targets


def examples(train: int = 64, apart: float = 0.7) -> dict[str, Examples]:
    """Three splits of the clouds."""
    sizes = {"train": train, "validation": 16, "test": 60}
    return {name: features(size, n, apart) for n, (name, size) in enumerate(sizes.items())}


def steady(means: tuple[float, ...], counts: tuple[int, ...] = COUNTS, items: int = 400) -> Curve:
    """A curve with these accuracies in each of two draws; all err on the hardest items."""
    rank = (np.arange(items) + 0.5) / items
    right = [rank < mean for mean in means]
    return Curve(counts, np.tile(np.array(right, dtype=np.float64), (2, 1, 1)))


@given(total=st.integers(2, 5000), labels=st.integers(1, 50))
def test_counts_are_halvings_of_all(total: int, labels: int) -> None:
    counts = label_counts(total, labels)
    assert counts[-1] == total and len(counts) <= 7
    assert all(small == large // 2 for small, large in pairwise(counts))
    assert len(counts) == 1 or counts[0] >= max(8, 2 * labels)


def test_a_curve_rises_to_what_is_known_of_all_labels() -> None:
    given_examples = examples(128)
    known = np.ones(60)
    curve = transfer_curve(TASK, LABELS, given_examples, known, draws=2)
    assert curve.counts == (8, 16, 32, 64, 128)
    assert curve.scores.shape == (2, 5, 60)
    assert (curve.scores[:, -1] == 1).all()
    means = curve.means()
    assert means[3] > means[0] + 0.05
    assert not np.array_equal(curve.scores[0, 0], curve.scores[1, 0])
    again = transfer_curve(TASK, LABELS, given_examples, known, draws=2)
    assert np.array_equal(curve.scores, again.scores)


def test_points_hold_value_and_interval() -> None:
    values = (np.arange(60) < 50).astype(np.float64)
    curve = transfer_curve(TASK, LABELS, examples(), values, draws=2)
    points = json.loads(json.dumps(curve.points()))
    assert [point["items"] for point in points] == list(curve.counts)
    for point in points:
        assert 0 <= point["low"] <= point["value"] <= point["high"] <= 1
    assert {"items": 64} | average(values).to_json() == points[-1]


def test_one_draw_is_made_when_time_is_over() -> None:
    curve = transfer_curve(TASK, LABELS, examples(), np.ones(60), 4, until=Budget(0.0))
    assert len(curve.scores) == 1


def test_a_count_at_which_only_one_label_is_left_is_no_point() -> None:
    given_examples = examples(64)
    given_examples["train"][1][:] = 0
    given_examples["train"][1][:3] = 1
    curve = transfer_curve(TASK, LABELS, given_examples, np.ones(60), draws=2)
    assert curve.counts[-1] == 64 and 8 not in curve.counts


@pytest.mark.parametrize(
    ("task", "targets"),
    [
        ("image-regression", lambda x: x[:, :1]),
        ("image-multi-label", lambda x: (x[:, :2] > 0).astype(np.float32)),
    ],
)
def test_other_tasks_have_curves_too(task: str, targets: object) -> None:
    results = {name: (x, targets(x)) for name, (x, _) in examples().items()}  # type: ignore[operator]
    names = ("a", "b")[: results["train"][1].shape[1]]
    curve = transfer_curve(catalog.task(task), names, results, np.ones(60), draws=1)
    assert curve.counts == (8, 16, 32, 64)
    assert curve.means()[2] > curve.means()[0]


class Trainer:
    """Stands for training from random weights: keeps what it is asked for."""

    def __init__(self, cut: int = 0) -> None:
        self.asked: list[np.ndarray] = []
        self.cut = cut

    def __call__(self, positions: np.ndarray) -> np.ndarray | None:
        self.asked.append(positions)
        return None if len(positions) == self.cut else np.full(10, len(positions) / 100)


def test_scratch_trains_on_nested_subsets_and_never_on_all() -> None:
    targets, trainer = np.arange(80) % 2, Trainer()
    curve, message = scratch_curve(targets, np.ones(10), trainer, 5.0, Budget(None), seed=3)
    assert curve.counts == (20, 40, 80) and message == ""
    assert curve.means().tolist() == pytest.approx([0.2, 0.4, 1.0])
    small, large = trainer.asked
    assert set(small) < set(large) and len(large) == 40
    assert small.tolist() == nested(targets, 3)[:20].tolist()
    assert targets[small].mean() == 0.5


@pytest.mark.parametrize(
    ("seconds", "counts", "text"),
    [
        (0.0, (80,), "not trained on 20 and 40 of 80 labels"),
        (60.0, (20, 80), "not trained on 40 of 80 labels"),
    ],
)
def test_counts_without_time_are_skipped_and_told(
    seconds: float, counts: tuple[int, ...], text: str
) -> None:
    curve, message = scratch_curve(
        np.arange(80) % 2, np.ones(10), Trainer(), 100.0, Budget(seconds)
    )
    assert curve.counts == counts and text in message


def test_a_training_that_was_cut_off_is_no_point() -> None:
    curve, message = scratch_curve(np.arange(80) % 2, np.ones(10), Trainer(40), 1.0, Budget(None))
    assert curve.counts == (20, 80) and "40 of 80" in message


def test_labels_saved_are_read_off_between_counts() -> None:
    transfer = steady((0.6, 0.7, 0.8, 0.9))
    scratch = steady((0.5, 0.6, 0.75), (40, 80, 160))
    saving = saved(transfer, scratch)
    assert saving.value == pytest.approx(160 / (40 * 2**0.5), rel=1e-6)
    assert saving.low is not None and saving.high is not None
    assert 1 < saving.low <= (saving.value or 0.0) <= saving.high
    assert "Scratch with 160 labels does as well as the transfer with 57" in saving.sentence
    assert "no evidence" not in saving.sentence and "cross" not in saving.sentence
    assert saving == saved(transfer, scratch)


def test_what_scratch_never_reaches_is_only_bounded() -> None:
    saving = saved(steady((0.8, 0.85, 0.9, 0.9)), steady((0.5, 0.5, 0.5), (40, 80, 160)))
    assert (saving.value, saving.high) == (None, None)
    assert saving.low == pytest.approx(8)
    assert (
        "not reached within your data" in saving.sentence and "more than 8.0 x" in saving.sentence
    )


def test_one_count_of_scratch_is_enough_to_compare_with() -> None:
    saving = saved(steady((0.6, 0.7, 0.8, 0.9)), steady((0.7,), (160,)))
    assert saving.value == pytest.approx(4)


def test_a_worse_transfer_saves_less_than_nothing() -> None:
    saving = saved(steady((0.4, 0.5, 0.6, 0.7)), steady((0.6, 0.7, 0.8), (40, 80, 160)))
    assert saving.value == pytest.approx(0.5)
    assert saving.high is not None and saving.high < 1


def test_a_hopeless_transfer_is_only_bounded() -> None:
    saving = saved(steady((0.4, 0.4, 0.4, 0.5)), steady((0.6, 0.7, 0.8), (40, 80, 160)))
    assert (saving.value, saving.low) == (None, None)
    assert saving.high == pytest.approx(0.25)
    assert "less than 0.25 x" in saving.sentence


def test_curves_that_cross_say_so() -> None:
    saving = saved(steady((0.5, 0.6, 0.7, 0.7)), steady((0.4, 0.7, 0.9), (40, 80, 160)))
    assert saving.value is not None and saving.value < 1.5
    assert "The curves cross near 80 labels: below the transfer leads" in saving.sentence


def test_curves_that_are_one_are_no_evidence() -> None:
    rng = np.random.default_rng(0)
    both = [Curve(COUNTS, (rng.random((3, 4, 60)) < 0.7).astype(float)) for _ in range(2)]
    saving = saved(*both)
    assert (saving.low or 0.0) <= 1 <= (saving.high or np.inf)
    assert (
        "no evidence" in saving.sentence
        or "can't tell" in saving.sentence
        or "interval" in saving.sentence
    )


@few
@given(data=st.data())
def test_the_value_lies_in_its_interval_whatever_the_curves(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 9999)))
    shares = rng.random(7)
    ours = (rng.random((2, 4, 12)) < shares[:4, None]).astype(float)
    theirs = (rng.random((1, 3, 12)) < shares[4:, None]).astype(float)
    saving = saved(Curve(COUNTS, ours), Curve((40, 80, 160), theirs))
    json.loads(json.dumps(saving.to_json(), allow_nan=False))
    low, high = saving.low or 0.0, saving.high or np.inf
    assert low <= high
    assert saving.value is None or low * 0.999 <= saving.value <= high * 1.001


def test_the_record_is_rounded() -> None:
    record = Saved(1.234567, None, 2.0, "").to_json()
    assert record == {"value": 1.23457, "low": None, "high": 2.0}
