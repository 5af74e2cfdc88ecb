"""Draws of labels from real sets: what is drawn, kept and counted."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import write_pictures
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.choosing.targets import MANY, Target
from benchmarks.coverage import counting, real
from benchmarks.coverage.counting import Count
from benchmarks.coverage.draws import FEATURES, GAIN, Bench
from benchmarks.coverage.pools import EACH, SETS, Drawn, Pool
from benchmarks.lines import Lines

few = settings(max_examples=25, deadline=None)


def pool(classes: int, each: int, text: bool = True) -> Pool:
    labels = np.repeat([f"c{n}" for n in range(classes)], each)
    return Pool("any", [f"text {n}".encode() for n in range(len(labels))], labels, text)


@few
@given(classes=st.integers(2, 12), size=st.integers(10, 60), number=st.integers(0, 5))
def test_a_draw_has_its_size_and_a_share_of_each_class(
    classes: int, size: int, number: int
) -> None:
    whole = pool(classes, 40)
    sample = whole.draw(size, number)
    assert len(np.unique(sample)) == len(sample) == size
    labels, counts = np.unique(whole.labels[sample], return_counts=True)
    assert len(labels) == min(classes, size // EACH)
    assert counts.max() - counts.min() <= 1
    remaining = whole.rest(sample)
    assert not set(remaining) & set(sample)
    assert len(remaining) == 40 * len(labels) - size
    assert np.array_equal(sample, whole.draw(size, number))
    assert not np.array_equal(sample, whole.draw(size, number + 1))


def test_labels_are_mixed_up_and_items_are_not() -> None:
    whole = pool(3, 20)
    mixed = whole.shuffled()
    assert mixed.contents == whole.contents
    assert sorted(mixed.labels) == sorted(whole.labels)
    assert (mixed.labels != whole.labels).mean() > 0.3


def test_items_are_written_as_a_user_holds_them(tmp_path: Path) -> None:
    file = pool(2, 3).write([1, 4], tmp_path / "texts")
    with file.open(newline="") as rows:
        assert list(csv.reader(rows)) == [["text", "label"], ["text 1", "c0"], ["text 4", "c1"]]
    folder = pool(2, 3, text=False).write([1, 4], tmp_path / "pictures")
    assert (folder / "c1" / "4.jpg").read_bytes() == b"text 4"


def test_large_sets_are_the_ones_that_are_promised() -> None:
    assert set(SETS) == {"flowers", "banking77", "cifar10", "digits", "hymenoptera"}
    assert SETS["hymenoptera"].budget == 60 and SETS["hymenoptera"].sizes == (20,)


def test_a_stopped_run_goes_on(tmp_path: Path) -> None:
    lines = Lines(tmp_path / "rows.jsonl", ("set", "draw"))
    expected = [{"set": "a", "draw": n} for n in range(3)]
    lines.once(expected[0], lambda: {"found": 1})
    with lines.path.open("a") as file:
        file.write('{"set": "a", "dr')  # the process was killed here
    assert lines.missing(expected) == expected[1:]
    lines.once(expected[1], lambda: {"found": 2})
    assert lines.missing(expected) == expected[2:]
    assert [row["found"] for row in lines.rows()] == [1, 2]


@pytest.mark.parametrize(
    ("what", "draws", "times", "holds"),
    [
        ("accuracy", 1000, 950, True),
        ("accuracy", 1000, 880, False),
        ("accuracy", 1000, 1000, False),
        ("accuracy", 20, 19, True),
        ("accuracy", 20, 12, False),
        ("accuracy", 4, 0, True),  # too few to say
        ("wrong verdicts", 100, 5, True),
        ("wrong verdicts", 100, 20, False),
    ],
)
def test_bounds_are_those_of_chance(what: str, draws: int, times: int, holds: bool) -> None:
    assert Count(what, draws, times).holds is holds


def row(draw: int, **given: Any) -> dict[str, Any]:
    """A draw of the gain's tier at 100 labels, as it should be but for what is given."""
    cell = dict(zip(real.KEY, (GAIN, "plain", "any", 100, draw), strict=True))
    accuracy = {"value": 0.8, "low": 0.7, "high": 0.9}
    gain = {"value": 0.3, "low": 0.2, "high": 0.4}
    values = {"accuracy": accuracy, "truth": 0.8, "gain": gain, "true_gain": 0.3}
    return cell | values | {"scratch": [0.5], "verdict": "helps", "held_out": 30} | given


def counted(*rows: dict[str, Any]) -> dict[str, Count]:
    ((_, result),) = counting.counts(rows).items()
    return {each.what: each for each in result}


def test_intervals_are_held_against_the_truth() -> None:
    result = counted(row(0), row(1, truth=0.95), row(2, true_gain=0.5), row(3, true_gain=None))
    assert (result["accuracy"].times, result["accuracy"].draws) == (3, 4)
    assert (result["gain"].times, result["gain"].draws) == (2, 3)
    assert result["gain"].width == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("inputs", "wrong"),
    [
        ({}, 0),
        ({"verdict": "hurts"}, 1),
        ({"verdict": "helps", "true_gain": -0.01}, 1),
        ({"verdict": "unknown", "true_gain": -0.01}, 0),
        ({"verdict": "helps", "condition": "shuffled"}, 1),
        ({"verdict": "no evidence", "condition": "shuffled"}, 0),
    ],
)
def test_a_verdict_is_wrong_where_it_claims_what_is_not_so(
    inputs: dict[str, Any], wrong: int
) -> None:
    assert counted(row(0, **inputs))["wrong verdicts"].times == wrong


@pytest.mark.parametrize(
    ("low", "high", "holds"), [(2.0, 6.0, True), (1.0, 2.5, False), (2.0, None, True)]
)
def test_labels_saved_are_held_against_the_true_curves(
    low: float, high: float | None, holds: bool
) -> None:
    """Scratch needs 100 labels for what the transfer reaches with 35: 2.8 times the labels."""
    entries = {
        "counts": [25, 50, 100],
        "scratch": [25, 50, 100],
        "saved": {"value": 3.0, "low": low, "high": high},
        "forecast": [],
    }
    rows = []
    for size, truth, scratch in ((12, 0.5, 0.2), (25, 0.6, 0.4), (50, 0.7, 0.5), (100, 0.8, 0.65)):
        rows.append(row(0, truth=truth, scratch=[scratch], size=size))
    rows[-1]["labels"] = entries
    result = counting.counts(rows)[GAIN, "plain", "any", 100]
    (saved,) = (each for each in result if each.what == "labels saved")
    assert bool(saved.times) is holds


def test_a_table_names_what_is_out_of_bounds() -> None:
    rows = [row(n, truth=0.95 if n < 15 else 0.8) for n in range(30)]
    lines = real.table(counting.counts(rows))
    assert "| gain | plain | any | 100 | accuracy | 30 | 50.0% (!) | 0.200 |" in lines
    assert "| gain | 30 | 100.0% |" in lines


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Drawn:
    """Two classes of pictures, and a seeded network to transfer."""
    write_pictures(tmp_path / "data" / "pictures", {"ants": 60, "bees": 60})
    target = Target("tiny", "pictures", (MANY, MANY, MANY), "image", ("mobilenet",))
    monkeypatch.setattr("benchmarks.coverage.draws.source", lambda *_: "seeded:convnet")
    monkeypatch.setattr("benchmarks.coverage.draws.FRESH", 1)
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    return Drawn(target, "mobilenet")


@pytest.mark.parametrize("tier", [FEATURES, pytest.param(GAIN, marks=pytest.mark.slow)])
def test_a_draw_is_fitted_and_measured(tiny: Drawn, tier: str, tmp_path: Path) -> None:
    bench = Bench.of(tiny, (tier, "plain"), tmp_path / "data", tmp_path / "work", None)
    result = bench.measure(30, 0)
    assert 0 <= result["accuracy"]["low"] <= result["accuracy"]["high"] <= 1
    scores = bench._judged(tmp_path / "work" / "draw" / "model", bench.pool.draw(30, 0), 0)
    assert result["truth"] == pytest.approx(scores, abs=0.02)  # whichever way it is computed
    if tier == GAIN:
        assert result["true_gain"] == pytest.approx(result["truth"] - result["scratch"][0])
