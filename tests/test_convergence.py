"""How soon an arm gets good, from the histories of two trainings."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.evidence.convergence import Course, convergence

scores = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def course(*found: float, epoch: float = 10, before: float = 0.0) -> Course:
    """A training of so many steps an epoch, each a tenth of a second, with these scores."""
    rows = [
        {"steps": n * epoch, "seconds": n * epoch / 10, "score": score, "loss": 1.0}
        for n, score in enumerate(found)
    ]
    return Course(max(found), rows, before)


def said(chosen: Course, scratch: Course | None, naive: float = 0.5) -> str:
    """The sentence alone."""
    return str(convergence(chosen, scratch, naive)["said"])


def test_the_ratio_is_taken_where_nine_tenths_of_the_gain_are_reached() -> None:
    chosen = course(0.5, 0.94, 0.96, 1.0)
    scratch = course(*[0.5] * 17, 0.95, epoch=20)
    message = said(chosen, scratch)
    assert "(0.950)" in message
    assert "in 1/17 of the steps (1/17 of the seconds) that scratch takes" in message


def test_seconds_before_the_first_row_count() -> None:
    chosen, scratch = course(0.5, 1.0, before=3.0), course(0.5, 0.5, 0.5, 0.5, 1.0)
    assert "in 1/4 of the steps (about the same number of seconds)" in said(chosen, scratch)


def test_a_slower_transfer_is_called_slower() -> None:
    message = said(course(0.5, 0.6, 0.7, 1.0), course(0.5, 1.0))
    assert "in 3 times the steps (3 times the seconds)" in message


def test_a_probe_is_good_before_its_first_step() -> None:
    message = said(Course(0.9, (), before=2.5), course(0.5, 0.6, 0.9))
    assert "before its first step, after 2.5 s; scratch takes 20 steps and 2.0 s" in message


def test_scratch_may_be_good_before_its_first_step() -> None:
    message = said(course(0.5, 0.7, 0.9), course(0.95, 0.96))
    assert "after 20 steps and 2.0 s; scratch has it before its first step" in message


def test_scratch_may_never_get_there() -> None:
    message = said(course(0.5, 0.9), course(0.5, 0.6, 0.7))
    assert "after 10 steps and 1.0 s; scratch never reaches it in its 20 steps and 2.0 s" in message


@pytest.mark.parametrize("final", [0.5, 0.4])
def test_without_a_gain_there_is_no_speed(final: float) -> None:
    assert "gains nothing over the naive model" in said(Course(final), course(0.5, 0.9))


def test_without_scratch_there_is_no_speed() -> None:
    result = convergence(course(0.5, 0.9), None, 0.5)
    assert result["scratch"] == [] and len(result["chosen"]) == 2
    assert "No network was trained from scratch" in result["said"]


def test_a_kept_model_that_no_row_has_is_told() -> None:
    blend = Course(0.9, course(0.5, 0.6).rows)
    assert "No row of the transfer's training has the score 0.860" in said(blend, course(0.5, 0.9))


@given(ours=scores, theirs=scores, naive=st.floats(0, 1))
def test_the_record_keeps_both_curves_and_one_sentence(
    ours: list[float], theirs: list[float], naive: float
) -> None:
    record = json.loads(json.dumps(convergence(course(*ours), course(*theirs), naive)))
    for name, given_scores in (("chosen", ours), ("scratch", theirs)):
        assert [point["score"] for point in record[name]] == [round(x, 5) for x in given_scores]
        assert all(point.keys() == {"steps", "seconds", "score"} for point in record[name])
    assert record["said"].endswith(".")


@given(ours=scores, factor=st.integers(2, 50))
def test_the_same_course_at_a_slower_pace_is_that_much_slower(
    ours: list[float], factor: int
) -> None:
    chosen, scratch = course(*ours, epoch=10), course(*ours, epoch=10.0 * factor)
    message = said(chosen, scratch, naive=0.0)
    if "that scratch takes" in message:
        assert f"1/{factor} of the steps (1/{factor} of the seconds)" in message
