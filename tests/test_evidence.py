"""Evidence: intervals that keep their word, a fair choice, a record with fixed names."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from headstart.evidence import (
    Arm,
    Evidence,
    Interval,
    bootstrap,
    choose,
    paired,
    verdict,
)

hits = arrays.arrays(np.float64, st.integers(1, 60), elements=st.integers(0, 1).map(float))
few = settings(max_examples=40, deadline=None)


@st.composite
def two_arms(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    first = draw(hits)
    return first, draw(arrays.arrays(np.float64, len(first), elements=st.integers(0, 1).map(float)))


def some(value: float, count: int) -> np.ndarray:
    """Scores of which the first `value` are right."""
    return (np.arange(count) < round(value * count)).astype(np.float64)


@few
@given(scores=hits, seed=st.integers(-3, 3))
def test_an_interval_holds_its_value_inside_the_scale(scores: np.ndarray, seed: int) -> None:
    interval = bootstrap(scores, seed)
    assert 0 <= interval.low <= interval.value <= interval.high <= 1
    assert interval.low < interval.high
    assert interval.value == scores.mean()
    assert interval == bootstrap(scores, seed)
    assert interval == bootstrap(scores.copy(), seed)


@few
@given(arms=two_arms())
def test_a_gain_turns_its_sign_with_the_order(arms: tuple[np.ndarray, np.ndarray]) -> None:
    first, second = arms
    there, back = paired(first, second), paired(second, first)
    assert -1 <= there.low <= there.value <= there.high <= 1
    assert there.value == pytest.approx(first.mean() - second.mean())
    assert back.value == -there.value
    assert (back.low, back.high) == pytest.approx((-there.high, -there.low))


@pytest.mark.parametrize(
    ("value", "count", "expected"),
    [
        (1.0, 30, (0.9, 1.0)),
        (0.0, 30, (0.0, 0.1)),
        (1.0, 1, (0.0, 1.0)),
        (0.0, 2, (0.0, 1.0)),
    ],
)
def test_equal_scores_are_widened_by_the_rule_of_three(
    value: float, count: int, expected: tuple[float, float]
) -> None:
    interval = bootstrap(np.full(count, value))
    assert (interval.low, interval.high) == pytest.approx(expected)
    assert interval.value == value


def test_arms_that_agree_everywhere_differ_little() -> None:
    right = some(0.5, 30)
    interval = paired(right, right)
    assert (interval.low, interval.value, interval.high) == pytest.approx(
        (-0.0866, 0.0, 0.0866), abs=1e-4
    )
    assert verdict(interval) == "no evidence"


def test_paired_proportions_have_the_interval_of_bonett_and_price() -> None:
    better, other = some(0.6, 20), some(0.2, 20)
    better[0] = 0.0  # 9 items for the one arm, 1 for the other
    interval = paired(better, other)
    up, down = 9 / 22, 2 / 22
    half = 1.959964 * ((up + down - (up - down) ** 2) / 22) ** 0.5
    assert interval.value == pytest.approx(7 / 20)
    assert (interval.low, interval.high) == pytest.approx((up - down - half, up - down + half))


def test_other_scores_are_paired_by_the_bootstrap() -> None:
    better, other = np.random.default_rng(0).random((2, 80))
    assert paired(better, other, 3) == bootstrap(better - other, 3, lowest=-1.0)


@pytest.mark.parametrize("count", [20, 50, 150])
@pytest.mark.parametrize(("for_one", "for_other"), [(0.1, 0.1), (0.2, 0.1), (0.35, 0.05)])
def test_an_interval_covers_what_it_says(count: int, for_one: float, for_other: float) -> None:
    chances = (for_one, for_other, 1 - for_one - for_other)
    counts = np.random.default_rng(count).multinomial(count, chances, 400)
    covered = claimed = 0
    for more, less, _ in counts:
        better = (np.arange(count) < more).astype(np.float64)
        other = ((np.arange(count) >= more) & (np.arange(count) < more + less)).astype(np.float64)
        interval = paired(better, other)
        covered += interval.low <= for_one - for_other <= interval.high
        claimed += verdict(interval) != "no evidence"
    assert covered >= 0.925 * 400
    assert for_one != for_other or claimed <= 0.06 * 400


@pytest.mark.parametrize(
    ("count", "message"), [(1, "no evidence"), (3, "no evidence"), (4, "helps")]
)
def test_all_against_none_needs_more_than_three_items(count: int, message: str) -> None:
    all_right, none = np.ones(count), np.zeros(count)
    assert verdict(paired(all_right, none)) == message
    assert verdict(paired(none, all_right)) == message.replace("helps", "hurts")


@few
@given(count=st.integers(20, 100))
def test_more_items_narrow_the_interval(count: int) -> None:
    few_items, many = bootstrap(some(0.5, count)), bootstrap(some(0.5, count * 9))
    assert many.high - many.low < few_items.high - few_items.low


def test_an_interval_is_as_wide_as_theory_says() -> None:
    interval = bootstrap(some(0.8, 400))
    expected = 1.96 * (0.8 * 0.2 / 400) ** 0.5
    assert (interval.high - interval.low) / 2 == pytest.approx(expected, rel=0.06)


def test_pairing_narrows_the_gain_of_arms_that_err_alike() -> None:
    better, other = some(0.85, 200), some(0.80, 200)
    interval = paired(better, other)
    assert interval.low > 0
    single = bootstrap(better)
    assert interval.high - interval.low < single.high - single.low


@pytest.mark.parametrize(
    ("gain", "message"),
    [
        (None, "unknown"),
        (Interval(0.2, 0.1, 0.3), "helps"),
        (Interval(-0.2, -0.3, -0.1), "hurts"),
        (Interval(0.1, 0.0, 0.2), "no evidence"),
        (Interval(-0.1, -0.2, 0.0), "no evidence"),
        (Interval(0.0, -0.2, 0.2), "no evidence"),
    ],
)
def test_verdicts(gain: Interval | None, message: str) -> None:
    assert verdict(gain) == message


@pytest.mark.parametrize(("count", "accuracy"), [(20, 0.9), (100, 0.8)])
def test_where_there_is_no_difference_few_verdicts_claim_one(count: int, accuracy: float) -> None:
    rng = np.random.default_rng(0)
    wrong = 0
    for repeat in range(200):
        one, other = (rng.random((2, count)) < accuracy).astype(np.float64)
        wrong += verdict(paired(one, other, repeat)) != "no evidence"
    assert wrong <= 0.07 * 200


def test_a_large_difference_is_nearly_always_seen() -> None:
    rng = np.random.default_rng(1)
    helps = 0
    for repeat in range(50):
        better, other = rng.random(150) < 0.95, rng.random(150) < 0.7
        helps += verdict(paired(better.astype(float), other.astype(float), repeat)) == "helps"
    assert helps == 50


def arm(strategy: str, selection_key: tuple[float, float] = (0.5, -1.0), right: float = 0.5) -> Arm:
    return Arm(strategy, some(right, 40), selection_key, seconds=1.234, steps=7)


merits = st.tuples(st.integers(0, 4).map(lambda hit: hit / 4), st.floats(-9, 0))


@given(actual=st.lists(merits, min_size=1, max_size=5))
def test_the_chosen_arm_is_never_below_a_simpler_one(actual: list[tuple[float, float]]) -> None:
    arms = {
        f"arm{position}": arm("any", selection_key) for position, selection_key in enumerate(actual)
    }
    chosen, (*simpler, request) = choose(arms), list(arms)
    assert arms[chosen].selection_key[0] == max(selection_key[0] for selection_key in actual)
    if any(arms[name].selection_key[0] == arms[request].selection_key[0] for name in simpler):
        assert chosen != request  # a tie goes to the simpler one


@pytest.mark.parametrize(("wins", "chosen"), [(1, "asked"), (12, "scratch")])
def test_scratch_is_handed_over_only_where_it_is_clearly_better(wins: int, chosen: str) -> None:
    ours, theirs = np.ones(60), np.ones(60)
    ours[:12], theirs[: 12 - wins] = 0, 0
    arms = {"features": arm("features", (0.1, -1.0))}
    for name, checked in (("scratch", theirs), ("asked", ours)):
        arms[name] = replace(arm(name, (float(checked.mean()), -1.0)), checked=checked)
    assert arms["scratch"].selection_key > arms["asked"].selection_key
    assert choose(arms) == chosen


def test_the_choice_does_not_look_at_held_out_scores() -> None:
    arms = {"simple": arm("a", (0.9, -1.0), right=0.1), "asked": arm("b", (0.8, -1.0), right=1.0)}
    assert choose(arms) == "simple"


def evidence(**arms: Arm) -> Evidence:
    values = {"naive": arm("naive", right=0.2), "features": arm("feature-extraction"), **arms}
    return Evidence("accuracy", values, "seeded:convnet", {"items": 80, "skipped": 0})


def test_the_record_has_the_promised_names() -> None:
    record = evidence(scratch=arm("scratch", right=0.4), chosen=arm("lp-ft", right=0.9))
    content = json.loads(json.dumps(record.to_json()))
    promised = {"metric", "arms", "gain", "verdict", "strategy", "backbone", "data"}
    assert promised <= content.keys()
    assert content["arms"].keys() == {"naive", "scratch", "features", "chosen"}
    for result in content["arms"].values():
        assert {"value", "low", "high", "seconds"} <= result.keys()
        assert result["low"] <= result["value"] <= result["high"]
    assert content["gain"].keys() == {"value", "low", "high", "trainings", "assumed"}
    assert content["gain"]["value"] == pytest.approx(0.5)
    assert (content["metric"], content["verdict"], content["strategy"]) == (
        "accuracy",
        "helps",
        "lp-ft",
    )
    assert content["data"] == {"items": 80, "skipped": 0}
    assert "dropped" not in content


def test_without_a_scratch_arm_the_gain_is_unknown() -> None:
    record = evidence(chosen=arm("lp-ft", right=1.0)).to_json()
    assert (record["gain"], record["verdict"]) == (None, "unknown")
    assert "scratch" not in record["arms"]


def test_when_scratch_is_handed_over_the_gain_is_of_the_transfer_that_lost() -> None:
    scratch = arm("scratch", right=0.9)
    record = evidence(scratch=scratch, chosen=scratch)
    record.dropped = arm("lp-ft", right=0.3)
    entry = record.to_json()
    assert (entry["verdict"], entry["gain"]["value"]) == ("hurts", pytest.approx(-0.6))
    assert entry["dropped"]["strategy"] == "lp-ft"
    record.dropped = None
    assert record.to_json()["gain"]["value"] == pytest.approx(-0.4)
