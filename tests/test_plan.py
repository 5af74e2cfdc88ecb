"""Where to cut: measured prices, the cheapest that fits, and what is stored already."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import tiny
import torch
from hypothesis import given
from hypothesis import strategies as st

from headstart.defaults import Settings
from headstart.errors import HeadstartError
from headstart.features import plan
from headstart.features.plan import Cut, Work, best, measure
from headstart.pipeline import extraction

WORK = Work(items=100, trained=70, epochs=5)
SEEDED = "seeded:convnet?width=4"


def cut(boundary: int, size: int, prefix: float, frozen: float, **more: bool) -> Cut:
    entries = {"stored": False, "fits": True, **more}
    return Cut(boundary, "stage", (size,), size, prefix, frozen, 1e-9 * size, **entries)


prices = st.floats(1e-6, 1.0)


@given(prices, prices, st.integers(1, 10**6), st.integers(1, 50))
def test_more_epochs_never_make_an_earlier_cut_better(
    first: float, second: float, size: int, epochs: int
) -> None:
    early, late = cut(1, size, first, second), cut(2, size, first + second, 0.0)
    assert best([early, late], Work(100, 100, 1 + epochs)) == late


@given(prices, st.integers(1, 10**8), st.integers(0, 4))
def test_a_stored_cut_costs_what_its_epochs_cost(prefix: float, size: int, views: int) -> None:
    work = Work(100, 70, 5, views)
    paid, due = cut(1, size, prefix, 0.0, stored=True), cut(1, size, prefix, 0.0)
    assert work.rows == 100 + 70 * views
    assert due.seconds(work) - paid.seconds(work) == pytest.approx(work.rows * (prefix + due.moved))
    assert best([paid, due], work) == paid


def test_a_large_activation_is_not_stored_where_a_little_computing_saves_it() -> None:
    wide, narrow = cut(2, 10**9, 0.01, 0.0), cut(1, 10**3, 0.009, 0.001)
    assert best([narrow, wide], WORK) == narrow
    assert best([cut(1, 10, 0.1, 0.0, fits=False)], WORK) is None


@pytest.mark.parametrize(("precision", "width"), [("fp32", 4), ("bf16", 2)])
def test_every_legal_boundary_is_measured(precision: str, width: int) -> None:
    backbone = tiny.backbone()
    stages = len(backbone.stages)
    inputs = torch.rand(4, 3, 16, 16)
    cuts = measure(backbone, inputs, (stages, [1]), WORK, precision)
    assert [result.boundary for result in cuts] == list(range(1, stages + 1))
    assert [result.after for result in cuts] == list(backbone.stages)
    assert [result.stored for result in cuts] == [True] + [False] * (stages - 1)
    values = inputs
    parts = [*backbone.prefix(stages - 1), torch.nn.Sequential(*backbone.prefix()[-2:])]
    for result, stage in zip(cuts, parts, strict=True):
        values = stage.eval()(values)
        assert result.shape == tuple(values.shape[1:])
        numbers = values[0].numel()
        assert result.size == numbers * (4 if result.boundary == stages else width)
    assert all(a.prefix < b.prefix for a, b in pairwise(cuts))
    assert cuts[-1].frozen == 0
    assert cuts[0].frozen == pytest.approx(cuts[-1].prefix - cuts[0].prefix)


def test_what_does_not_fit_on_the_disk_is_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    backbone, inputs = tiny.backbone(), torch.rand(2, 3, 16, 16)
    monkeypatch.setattr(plan, "DISK_SHARE", 0.0)
    cuts = measure(backbone, inputs, (2, []), WORK, "fp32")
    assert not any(result.fits for result in cuts)


def test_the_plan_names_the_boundary_that_fit_takes(pictures: Path) -> None:
    settings = Settings(epochs=2, scratch=False)
    result = extraction.plan_features(
        pictures, SEEDED, strategy="last-stages?count=1", settings=settings
    )
    assert result.work.epochs == 2
    assert result.chosen in result.cuts
    assert "chosen" in str(result)
    assert result.to_json()["chosen"] == result.chosen.boundary
    actual = extraction.cache_features(pictures, SEEDED, settings=settings)
    assert (actual.computed, actual.items) == (result.work.items, result.work.items)
    again = extraction.cache_features(pictures, SEEDED, settings=settings)
    assert again.computed == 0
    assert again.to_json()["rate"] is None
    assert str(again).startswith(f"{again.items} items: all")


def test_a_strategy_that_freezes_nothing_has_no_plan(pictures: Path) -> None:
    with pytest.raises(HeadstartError, match="full-fine-tuning trains every stage"):
        extraction.plan_features(pictures, SEEDED, strategy="full-fine-tuning")
