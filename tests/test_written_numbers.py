"""How columns write numbers: signs of currencies, thousands, commas, percents."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.contracts.written_numbers import COMMA, POINT, format_of, plain_labels


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("1234.5", 1234.5),
        ("$1,200", 1200.0),
        ("$ 1,234,567.89", 1234567.89),
        ("USD 1,000", 1000.0),
        ("99 €", 99.0),
        ("12 %", 12.0),
        ("-$5.20", -5.2),
        ("(1,200)", -1200.0),
        ("1\u00a0234", 1234.0),
        ("1e5", 1e5),
        ("1,23", None),
        ("12-13", None),
        ("z95838", None),
        ("12 kg", None),
        ("--5", None),
        ("", None),
        ("1" * 60 + "x", None),
    ],
)
def test_numbers_with_a_point(text: str, amount: float | None) -> None:
    assert POINT(text) == amount


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("3,5", 3.5),
        ("1.234,50", 1234.5),
        ("1.234", 1234.0),
        ("-3,25 %", -3.25),
        ("€ 1 234,5", 1234.5),
        ("12", 12.0),
    ],
)
def test_numbers_with_a_comma(text: str, amount: float) -> None:
    assert COMMA(text) == amount


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["3,5", "4,25", "1"], COMMA),
        (["1,234", "2,500"], POINT),
        (["1.234", "1.234,5"], COMMA),
        (["0,512", "1,347"], COMMA),  # no thousands, as these don't begin with 0
        (["463.545 €", "92.430 €"], COMMA),
        (["$3.459", "$4.100"], POINT),  # a gallon
        (["463.545", "92.430"], POINT),
        (["a", "b"], None),
        ([None, "", "NA"], None),
        (["1", "2", "x"], None),
    ],
)
def test_a_column_says_how_it_is_written(cells: list[str | None], expected: object) -> None:
    assert format_of(cells) == expected


@given(st.floats(-1e9, 1e9, allow_nan=False))
def test_what_is_written_plainly_is_read_so(amount: float) -> None:
    assert POINT(repr(amount)) == amount


@given(st.integers(-(10**9), 10**9), st.sampled_from(["$", "€", "£", ""]))
def test_thousands_and_a_sign_change_nothing(amount: int, sign: str) -> None:
    minus = "-" if amount < 0 else ""
    assert POINT(f"{minus}{sign}{abs(amount):,}") == amount


def test_labels_are_changed_only_where_all_are_numbers() -> None:
    assert plain_labels(["$1,200", "3", None]) == ([1200.0, 3.0, None], True)
    assert plain_labels(["1", "2.5"]) == (["1", "2.5"], False)
    assert plain_labels(["a", "$2"]) == (["a", "$2"], False)
