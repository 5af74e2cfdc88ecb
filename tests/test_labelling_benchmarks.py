"""The measurements of suggestions and forecasts: on crowds of known answers, and on real ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.labelling import choosing, forecasting
from benchmarks.labelling.forecasting import Draw
from benchmarks.labelling.targets import Labelled


def crowds(classes: int, each: int, spread: float) -> Labelled:
    """Crowds of one class each around axes of their own."""
    rng = np.random.default_rng(0)
    targets = np.arange(classes).repeat(each)
    features = np.eye(32)[targets] + spread * rng.normal(size=(len(targets), 32))
    return Labelled("crowds", features.astype(np.float32), targets)


def test_suggestions_find_every_crowd_where_chance_does_not() -> None:
    suggested, random = choosing._draw(crowds(20, 60, 0.03), 0)
    assert suggested[0] == pytest.approx(1.0, abs=0.01)  # 20 labels, one a class
    assert random[0] < 0.9 and len(suggested) == len(random) == len(choosing.SHOWN)


def test_a_forecast_is_made_and_judged_by_what_came_true() -> None:
    result = crowds(4, 400, 0.5)
    first = forecasting.draw(result, 240, 1)
    assert 0.25 < first.truth <= 1.0
    assert first.refused or first.low <= first.value <= first.high
    assert forecasting.draw(result, 160, 1).refused  # 24 items to judge by


def test_forecasts_that_were_refused_do_not_count() -> None:
    draws = [Draw(0.5, 0.6, 0.7, 0.65), Draw(0.5, 0.6, 0.7, 0.75), Draw(0, 0, 0, 0.5, True)]
    message = forecasting._summary(draws)
    assert (message["made"], message["refused"], message["held"]) == (2, 1, 0.5)
    assert message["bias"] == pytest.approx(-0.1) and message["width"] == pytest.approx(0.2)


@pytest.mark.slow
def test_suggestions_beat_chance_on_real_features(shared_data: Path) -> None:
    outputs = choosing.run(shared_data, ("hymenoptera",), 10)
    assert outputs["worse"] == [] and outputs["mean"] > 0
