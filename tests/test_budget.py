"""Budgets: durations read, deadlines kept, shares handed on."""

from __future__ import annotations

import os
import time

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.errors import HeadstartError
from headstart.runtime.budget import Budget, seconds, warm


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, as a list of one number that tests set."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *(("90s", 90.0), ("10m", 600.0), ("1h30m", 5400.0), ("1.5h", 5400.0)),
        *((" 2M ", 120.0), ("0.5s", 0.5), ("1h1m1s", 3661.0)),
    ],
)
def test_durations(text: str, expected: float) -> None:
    assert seconds(text) == expected


@given(hours=st.integers(0, 99), minutes=st.integers(0, 59), rest=st.integers(1, 59))
def test_durations_add_up(hours: int, minutes: int, rest: int) -> None:
    assert seconds(f"{hours}h{minutes}m{rest}s") == hours * 3600 + minutes * 60 + rest


@pytest.mark.parametrize("text", ["", "10", "m", "10 m", "-5m", "10d", "1h-5m", "5mm", "1e3s"])
def test_what_is_no_duration_is_quoted(text: str) -> None:
    with pytest.raises(HeadstartError) as caught:
        seconds(text)
    assert str(caught.value) == f"{text!r} is not a duration. Write it like 90s, 10m or 1h30m."


@pytest.mark.parametrize("text", ["0s", "0h0m"])
def test_no_time_is_refused(text: str) -> None:
    with pytest.raises(HeadstartError, match="leaves no time"):
        seconds(text)


@settings(max_examples=100)
@given(text=st.text("0123456789.smh -", max_size=8))
def test_any_text_is_a_positive_duration_or_refused(text: str) -> None:
    try:
        assert seconds(text) > 0
    except HeadstartError as error:
        assert repr(text) in str(error)


def test_a_deadline_is_counted_from_the_making(clock: list[float]) -> None:
    budget = Budget(10.0)
    for passed, spent in ((0.0, 0.0), (5.0, 0.5), (9.0, 0.9), (10.0, 1.0), (20.0, 2.0)):
        clock[0] = 1000.0 + passed
        assert budget.elapsed() == passed
        assert budget.spent() == pytest.approx(spent)
        assert budget.over() == (passed >= 10.0)


def test_time_of_earlier_runs_counts(clock: list[float]) -> None:
    budget = Budget(10.0, earlier=8.0)
    assert (budget.spent(), budget.over()) == (0.8, False)
    clock[0] += 2.0
    assert budget.over()


def test_without_a_limit_nothing_is_ever_over(clock: list[float]) -> None:
    budget = Budget(None)
    clock[0] += 1e9
    assert (budget.limited, budget.spent(), budget.over()) == (False, 0.0, False)
    assert not budget.until(0.1).limited
    assert Budget(1.0).limited


def test_a_budget_of_nothing_is_over_at_once(clock: list[float]) -> None:
    budget = Budget(0.0)
    clock[0] += 1e-6
    assert budget.over()


def test_a_share_is_over_when_that_share_of_the_whole_is(clock: list[float]) -> None:
    budget = Budget(100.0)
    clock[0] += 20.0
    half = budget.until(0.5)
    assert half.spent() == 0.0
    clock[0] += 29.0
    assert not half.over()
    clock[0] += 1.0
    assert half.over()
    assert not budget.over()
    late = budget.until(0.25)
    clock[0] += 1e-6
    assert late.over()


@pytest.mark.parametrize("waiting", [1, 2, 5])
def test_what_waits_shares_what_is_left(clock: list[float], waiting: int) -> None:
    budget = Budget(100.0)
    clock[0] += 40.0
    for place in range(waiting):
        part = budget.part(waiting - place)
        assert part.left() == pytest.approx(60.0 / waiting)
        clock[0] += part.left()
    assert budget.over() or budget.left() == pytest.approx(0.0, abs=1e-6)
    assert not Budget(None).part(waiting).limited


@given(took=st.floats(0, 1e4), computed=st.floats(0, 1e4), crowd=st.floats(0, 100))
def test_what_waited_for_a_disk_is_not_waited_for_again(
    took: float, computed: float, crowd: float
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(psutil, "getloadavg", lambda: (crowd * (os.cpu_count() or 1), 0.0, 0.0))
        again = warm(took, computed)
    assert again <= took
    assert again == took or 2 * computed <= again <= max(2.0, 1.0 + crowd) * computed * 1.001
