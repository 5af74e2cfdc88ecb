"""Intervals over seeds and items, and the simulation that counts how often intervals hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.coverage import simulated as coverage
from benchmarks.coverage.simulated import Count, World
from headstart.evidence.intervals import Interval, average, paired
from headstart.evidence.seeds import draws, seeds

few = settings(max_examples=25, deadline=None)
shapes = st.tuples(st.integers(1, 5), st.integers(1, 40))


def answers(shape: tuple[int, int], seed: int, share: float = 0.7) -> np.ndarray:
    """Right and wrong answers, (seeds, items)."""
    return (np.random.default_rng(seed).random(shape) < share).astype(np.float64)


@few
@given(count=st.integers(1, 60), seed=st.integers(0, 99))
def test_one_seed_is_the_paired_interval(count: int, seed: int) -> None:
    better, other = answers((1, count), seed, 0.8), answers((1, count), seed + 1, 0.6)
    assert seeds(better, other, seed) == paired(better[0], other[0], seed)
    assert draws(better, seed) == average(better[0], seed)


@few
@given(count=st.integers(2, 60), number=st.integers(2, 5), seed=st.integers(0, 99))
def test_seeds_that_agree_everywhere_add_nothing(count: int, number: int, seed: int) -> None:
    better, other = answers((1, count), seed, 0.8), answers((1, count), seed + 1, 0.6)
    ours, theirs = (np.repeat(arm, number, axis=0) for arm in (better, other))
    assert seeds(ours, theirs, seed) == paired(better[0], other[0], seed)


@few
@given(shape=shapes, seed=st.integers(0, 99))
def test_an_interval_over_seeds_holds_its_value_inside_the_scale(
    shape: tuple[int, int], seed: int
) -> None:
    better, other = answers(shape, seed, 0.9), answers(shape, seed + 1, 0.5)
    result = seeds(better, other)
    assert -1 <= result.low <= result.value <= result.high <= 1
    assert result.low < result.high
    assert result.value == pytest.approx(better.mean() - other.mean())
    back = seeds(other, better)
    assert (back.low, back.high) == pytest.approx((-result.high, -result.low), abs=0.06)
    single = draws(better)
    assert 0 <= single.low <= single.value <= single.high <= 1


def test_seeds_that_differ_widen_the_interval() -> None:
    better, other = answers((4, 200), 0, 0.8), answers((4, 200), 1, 0.7)
    alike = seeds(better, other)
    better[:2], better[2:] = 1.0, 0.5
    apart = seeds(better, other)
    assert apart.high - apart.low > 2 * (alike.high - alike.low)


def test_more_seeds_narrow_the_interval() -> None:
    world = World(150, 0.05, 0.75, seeds=12, spread=0.3)
    better, other, _ = world.draw(np.random.default_rng(0))
    many, some = seeds(better, other), seeds(better[:3], other[:3])
    assert many.high - many.low < some.high - some.low


def test_negative_scores_keep_their_interval() -> None:
    scores = np.random.default_rng(0).normal(-2.0, 1.0, (4, 50))
    result = draws(scores)
    assert result.low < result.value < result.high < -1


@pytest.mark.parametrize("world", [World(50, -0.1, 0.95), World(50, 0.3, 0.75, 4, 0.3)])
def test_simulated_arms_have_the_accuracies_and_the_gain_that_they_claim(world: World) -> None:
    rng = np.random.default_rng(0)
    results = [world.draw(rng) for _ in range(1500)]
    better, other = (np.mean([arms[place] for arms in results]) for place in (0, 1))
    assert (better, other) == pytest.approx(world.accuracies, abs=0.01)
    assert {truth for _, _, truth in results} == {world.gain}


def test_the_gain_of_these_trainings_is_around_that_of_trainings_in_general() -> None:
    rng = np.random.default_rng(0)
    world = World(5, 0.3, 0.95, spread=0.3, conditional=True)
    truths = [world.draw(rng)[2] for _ in range(2000)]
    assert np.mean(truths) == pytest.approx(0.3, abs=0.01) and np.std(truths) > 0.05


def test_arms_of_one_world_err_alike() -> None:
    better, other, _ = World(20_000, 0.0, 0.75).draw(np.random.default_rng(0))
    assert np.corrcoef(better[0], other[0])[0, 1] > 0.2


def everything(better: np.ndarray, other: np.ndarray, seed: int) -> Interval:
    """An interval that always holds the truth and never claims a thing."""
    return Interval(0.0, -1.0, 1.0)


def nothing(better: np.ndarray, other: np.ndarray, seed: int) -> Interval:
    """One that never does, and claims a gain each time."""
    return Interval(0.9, 0.9, 0.9)


def test_what_is_counted_is_what_the_intervals_hold() -> None:
    methods = {"everything": everything, "nothing": nothing}
    wide, wrong = coverage.count(World(1000, 0.0, 0.75), methods, repeats=40)
    assert (wide.covered, wide.claimed, wide.width) == (1.0, 0.0, 2.0)
    assert (wrong.covered, wrong.claimed, wrong.width) == (0.0, 1.0, 0.0)
    assert 200 < wide.differing < 320
    assert not wrong.holds and "(!)" in coverage.line(wrong)
    assert wrong.to_json()["items"] == 1000 and wrong.to_json()["holds"] is False


def counted(
    covered: float, claimed: float = 0.04, differing: float = 50, gain: float = 0.0
) -> Count:
    """A count of so many repeats that chance plays no part."""
    return Count("any", World(150, gain, 0.75), 10**9, covered, claimed, 0.1, differing)


@pytest.mark.parametrize(
    ("actual", "holds"),
    [
        (counted(0.95), True),
        (counted(0.91), False),
        (counted(0.99), False),
        (counted(0.99, differing=3), True),
        (counted(0.91, differing=3), False),
        (counted(0.95, claimed=0.06), False),
        (counted(0.95, claimed=0.9, gain=0.3), True),
    ],
)
def test_promises(actual: Count, holds: bool) -> None:
    assert actual.holds is holds


def test_a_count_can_be_repeated() -> None:
    methods = {"paired": coverage.one_pair}
    world = World(50, 0.05, 0.95)
    assert coverage.count(world, methods, 5) == coverage.count(world, methods, 5)
    assert coverage.count(world, methods, 5) != coverage.count(world, methods, 5, seed=1)


def test_every_gain_is_simulated_with_one_seed_and_with_several() -> None:
    result = coverage.worlds()
    for number in (1, *coverage.SEEDS):
        cells = {(w.items, w.gain) for w, _ in result if w.seeds == number}
        assert cells == {(n, gain) for n in (50, 150, 1000) for gain in (-0.1, 0.0, 0.05, 0.3)}
    assert len({world for world, _ in result}) == len(result)


def test_a_run_answers_with_what_it_prints(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = [(World(50, 0.0, 0.75), {"paired": nothing, "other": everything})]
    monkeypatch.setattr(coverage, "worlds", lambda: cells)
    outputs = coverage.run(repeats=10)
    assert [each["method"] for each in outputs["counts"]] == ["paired", "other"]
    assert [each["method"] for each in outputs["broken"]] == ["paired"]
    out = capsys.readouterr().out
    assert "1 of 2 counts break" in out and "covers 0.0% to 0.0%" in out


@pytest.mark.parametrize("spread", [0.0, 0.2])
def test_intervals_over_seeds_cover_the_truth(spread: float) -> None:
    world = World(60, 0.05, 0.75, 3, spread)
    (result,) = coverage.count(world, {"seeds": seeds}, repeats=60)
    assert result.holds
