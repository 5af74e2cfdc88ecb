"""Forecasts of what more labels bring: the law is found, doubt is kept, noise is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.evidence.forecast import Law, fit, forecast
from headstart.evidence.labels import Curve

COUNTS = (25, 50, 100, 200, 400)
laws = st.builds(Law, st.floats(0, 0.3), st.floats(0.3, 2), st.floats(0.15, 1.5))
few = settings(max_examples=25, deadline=None)


def exact(law: Law, counts: tuple[int, ...] = COUNTS) -> Curve:
    """A curve on which every item scores what the law says."""
    means = np.array([law.score(count) for count in counts])
    return Curve(counts, np.tile(means[None, :, None], (2, 1, 30)))


def noisy(law: Law, seed: int, items: int = 150, counts: tuple[int, ...] = COUNTS) -> Curve:
    """Right and wrong answers to items of differing difficulty, which vary over five draws."""
    rng = np.random.default_rng(seed)
    place = 0.8 * rng.random(items) + 0.2 * rng.random((5, len(counts), items))
    right = [np.sort(place.ravel())[int(law.score(n) * (place.size - 1))] for n in counts]
    shift = rng.normal(0, 0.01, (5, len(counts), 1))
    return Curve(counts, (place + shift < np.array(right)[None, :, None]).astype(np.float64), seed)


@few
@given(law=laws)
def test_an_exact_power_law_is_recovered(law: Law) -> None:
    result = fit(COUNTS, np.array([1 - law.score(count) for count in COUNTS]))
    assert result.decay == pytest.approx(law.decay, rel=1e-2, abs=1e-3)
    for count in (*COUNTS, 800, 1600):
        assert result.score(count) == pytest.approx(law.score(count), abs=1e-5)


def test_the_forecast_of_an_exact_law_is_the_law() -> None:
    law = Law(0.05, 1.5, 0.6)
    outlook = forecast(exact(law))
    assert outlook.points is not None
    assert [point["items"] for point in outlook.points] == [800, 1600]
    for point in outlook.points:
        expected = pytest.approx(law.score(point["items"]), abs=1e-4)
        assert (point["low"], point["value"], point["high"]) == (expected, expected, expected)
    assert "800 labels" in outlook.sentence


@pytest.mark.parametrize("seed", range(4))
def test_doubt_grows_with_the_distance_and_stays_in_the_scale(seed: int) -> None:
    curve = noisy(Law(0.02, 2.0, 0.5), seed)
    outlook = forecast(curve)
    assert outlook.points is not None
    near, far = outlook.points
    measured = curve.points()[-1]
    assert measured["value"] - 0.02 <= near["value"] <= far["value"]
    for point in outlook.points:
        assert 0 <= point["low"] <= point["value"] <= point["high"] <= 1
    assert far["high"] - far["low"] > near["high"] - near["low"] > 0
    assert outlook == forecast(curve)


@pytest.mark.parametrize("count", [1, 2])
def test_too_few_counts_are_refused(count: int) -> None:
    outlook = forecast(exact(Law(0.1, 1.0, 0.5), COUNTS[:count]))
    assert outlook.points is None and outlook.law is None
    assert f"has {count} counts" in outlook.sentence


@pytest.mark.parametrize("items", [3, 29])
def test_too_few_held_out_items_are_refused(items: int) -> None:
    curve = exact(Law(0.1, 1.0, 0.5))
    outlook = forecast(Curve(curve.counts, curve.scores[:, :, :items]))
    assert outlook.points is None and f"judged on {items} items" in outlook.sentence


def test_three_counts_are_enough() -> None:
    assert forecast(exact(Law(0.1, 1.0, 0.5), COUNTS[:3])).points is not None


@pytest.mark.parametrize(
    "means", [(0.8,) * 5, (0.9, 0.85, 0.8, 0.75, 0.7)], ids=["level", "falling"]
)
def test_a_score_that_does_not_rise_is_refused(means: tuple[float, ...]) -> None:
    outlook = forecast(Curve(COUNTS, np.tile(np.array(means)[None, :, None], (2, 1, 30))))
    assert outlook.points is None and "no better than a constant" in outlook.sentence


def test_noise_is_refused() -> None:
    refused = 0
    for seed in range(5):
        right = np.random.default_rng(seed).random((5, 5, 60)) < 0.7
        refused += forecast(Curve(COUNTS, right.astype(np.float64), seed)).points is None
    assert refused >= 4


@few
@given(errors=st.lists(st.floats(0, 1), min_size=3, max_size=5))
def test_no_law_leaves_the_scale(errors: list[float]) -> None:
    counts = COUNTS[: len(errors)]
    result = fit(counts, np.array(errors))
    assert result.floor >= 0 and result.scale >= 0
    for factor in (1, 2, 4, 100):
        assert -1e-9 <= result.score(factor * counts[-1]) <= 1
