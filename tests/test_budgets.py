"""Budgets of whole runs: what they hold back and leave out, and that each ends with a model."""

from __future__ import annotations

import importlib
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from conftest import write_pictures
from detectors import detector, squares

import headstart as hs
from headstart import evidence, plan
from headstart.errors import OutOfTimeError
from headstart.pipeline import affordable
from headstart.pipeline.prepare import RunContext
from headstart.pipeline.selection import strategy_search
from headstart.pipeline.selection.choosing import prepare
from headstart.pipeline.selection.ranking import FEWEST, LATE, BackboneRanking
from headstart.runtime import budget as budgets
from headstart.runtime.budget import Budget
from headstart.runtime.progress import Silent

TINY = "seeded:convnet?width=4"
SETTINGS = hs.Settings(epochs=2, device="cpu", scratch=False, evidence="none")


def surroundings(seconds: float, started_in: float = 0.0, load: float = 0.0) -> RunContext:
    settings = replace(SETTINGS, budget=seconds)
    clock = Budget(seconds, started_in)
    return RunContext(settings, clock, Silent(), None, started_in, [load])


def test_the_time_of_a_command_counts_from_its_process(monkeypatch: pytest.MonkeyPatch) -> None:
    assert budgets.earlier() == 0.0  # within a longer life a run counts from its call
    monkeypatch.setattr(budgets, "_process", [])
    budgets.count_the_process()
    assert budgets.earlier() == pytest.approx(budgets.age(), abs=1.0)
    assert Budget(1e6, budgets.earlier()).elapsed() >= budgets.earlier() - 1.0


@pytest.mark.parametrize(("started_in", "load"), [(5.0, 1.0), (20.0, 0.5), (2.0, 10.0)])
def test_saving_is_reckoned_by_what_starting_and_loading_took(
    started_in: float, load: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.import_module("headstart.pipeline.prepare"), "IMPORTED", 0.0)
    around = surroundings(200.0, started_in, load)
    before = around.budget.left()
    around.keep_time()
    reserve = before - around.budget.left()
    assert reserve == pytest.approx(1.5 * (started_in + 2 * load), abs=0.5)
    assert around.budget.left() > 0


@pytest.mark.parametrize(("seconds", "started_in"), [(3.0, 5.0), (9.0, 5.0)])
def test_a_budget_that_can_not_be_kept_is_refused_with_one_that_can(
    seconds: float, started_in: float
) -> None:
    with pytest.raises(
        hs.HeadstartError, match=rf"A budget of {seconds:g} s can't be kept"
    ) as error:
        surroundings(seconds, started_in, 0.1).keep_time()
    enough = float(str(error.value).rpartition("--budget ")[2].partition("s or more")[0])
    surroundings(enough, started_in, 0.1).keep_time()


def test_without_time_for_all_items_there_is_a_model_of_some(
    pictures: Path, tmp_path: Path
) -> None:
    progress = tiny.Recording()
    context = RunContext.of(SETTINGS, progress, tmp_path)
    transfer = prepare(pictures, TINY, "feature-extraction", context)
    hurried = replace(transfer.experiment, budget=Budget(1e-6))
    search = strategy_search.run(replace(transfer, experiment=hurried))
    part, whole = search.experiment.dataset, transfer.experiment.dataset
    assert search.whole is whole
    assert len(part.items) < len(whole.items)
    for name in ("train", "validation", "test"):
        assert set(part.targets(name)) == {0, 1}
    (message,) = progress.warned
    assert message == affordable.shortened(part, whole)
    assert f"{len(part.items)} of {len(whole.items)} items are used" in message
    left_out = {item.identity for item in whole.items} - {item.identity for item in part.items}
    inputs: dict[str, Any] = dict.fromkeys(("data", "backbone", "weights", "strategy"), "")
    result = plan.FitPlan(
        **inputs,
        settings={},
        fingerprint=part.fingerprint,
        splits=plan.splits_of(part),
        versions={},
        left_out=sorted(left_out),
    )
    assert result.apply(whole).fingerprint == part.fingerprint


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_every_class_stays_in_every_split(share: float, tmp_path: Path) -> None:
    data = write_pictures(tmp_path / "data", {"ants": 60, "bees": 20, "cats": 8})
    target = prepare(data, TINY, None, RunContext.of(SETTINGS, Silent())).experiment
    part = affordable._part(target.dataset, share)
    for name in ("train", "validation", "test"):
        before, after = (each.targets(name) for each in (target.dataset, part))
        assert set(before) == set(after)
        assert len(after) >= int(share * len(before))
    assert (share == 1.0) == (len(part.items) == len(target.dataset.items))


def test_what_finds_no_time_is_left_out_and_named(pictures: Path, tmp_path: Path) -> None:
    progress = tiny.Recording()
    transfer = prepare(pictures, TINY, "lp-ft", RunContext.of(SETTINGS, progress, tmp_path))
    target, source = transfer.experiment, transfer.backbone
    assert affordable.has_time(target, source, "lp-ft")
    hurried = replace(target, budget=Budget(0.0))
    assert not affordable.has_time(hurried, source, "lp-ft")
    assert progress.said[-1] == "lp-ft is left out, as the budget leaves no time for it."
    plenty = replace(target, budget=Budget(1e6))
    assert affordable.has_time(plenty, source, "lp-ft")
    price = evidence.Price.of(target, source)
    assert 0 < price.item and price.least < price.epoch
    assert (price.trained, price.held_out) == tuple(
        len(target.dataset.split(name)) for name in ("train", "test")
    )


def test_what_a_first_pass_alone_takes_is_no_price(pictures: Path) -> None:
    """Libraries start with it, which takes seconds that no other item does."""
    transfer = prepare(pictures, "seeded:convnet", None, RunContext.of(SETTINGS, Silent()))
    waits = [1.0]

    def slow_once(*_: object) -> None:
        if waits:
            time.sleep(waits.pop())

    first = next(iter(transfer.backbone.stages.values()))
    first.register_forward_hook(slow_once)
    price = evidence.Price.of(replace(transfer.experiment, budget=Budget(20.0)), transfer.backbone)
    assert not waits and price.item < 0.25


def test_a_busy_moment_leaves_nothing_out(pictures: Path) -> None:
    transfer = prepare(pictures, "seeded:convnet", None, RunContext.of(SETTINGS, Silent()))
    waits = [0.3] * 3

    def slow_first(*_: object) -> None:
        if waits:
            time.sleep(waits.pop())

    next(iter(transfer.backbone.stages.values())).register_forward_hook(slow_first)
    target = replace(transfer.experiment, budget=Budget(4.0))
    assert affordable.has_time(target, transfer.backbone, "scratch") and not waits


def test_a_detector_sees_no_more_items_than_its_budget_has_time_for(tmp_path: Path) -> None:
    pytest.importorskip("onnx2torch")
    data = squares(tmp_path / "data", 40)
    file = detector(tmp_path / "small.onnx")
    progress = tiny.Recording()
    transfer = prepare(data, f"graph:{file}", None, RunContext.of(SETTINGS, progress))
    target, source = transfer.experiment, transfer.backbone
    price = evidence.Price.of(target, source)
    needed = price.without_probe(target.views)
    reads = price.trained * (1 + target.views) + 3 * (price.validated + price.held_out)
    assert needed == pytest.approx(price.item * reads)
    whole, _ = affordable.features_in_time(replace(target, budget=Budget(1e6)), source)
    assert len(whole.dataset.items) == len(target.dataset.items)
    hurried = replace(target, budget=Budget(1e-3))
    part, features = affordable.features_in_time(hurried, source)
    assert len(part.dataset.items) < len(target.dataset.items) / 2
    assert len(features.arm.scores) == len(part.dataset.split("test"))
    assert "items are used. Give more with --budget." in progress.said[-1] + progress.warned[-1]


@pytest.fixture
def many(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "many", {"ants": 60, "bees": 60})


ALIKE = [f"{TINY}&seed={number}" for number in (3, 1, 2)]


@pytest.mark.parametrize("limited", [False, True])
def test_every_candidate_is_looked_at_once_before_one_is_looked_at_twice(
    limited: bool, many: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, int]] = []
    measure = BackboneRanking._measure

    def noting(look: BackboneRanking, each: Any, count: int) -> None:
        calls.append((each.reference, count))
        measure(look, each, count)

    monkeypatch.setattr(BackboneRanking, "_measure", noting)
    monkeypatch.setattr("headstart.pipeline.selection.ranking.FIRST", 40)
    monkeypatch.setattr(RunContext, "keep_time", lambda self: None)
    clock = Budget(1e-3) if limited else Budget(None)
    look = BackboneRanking.at(many, ALIKE, RunContext(SETTINGS, clock, Silent()))
    assert {name for name, _ in calls[:3]} == set(ALIKE)
    assert [count for _, count in calls[:3]] == [FEWEST if limited else 40] * 3
    assert len(calls) == 3 if limited else len(calls) > 3
    assert all(len(each.by_item) for each in look.candidates)


def test_what_was_not_looked_at_stands_in_the_order_of_the_prior(
    many: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure = BackboneRanking._measure

    def late(look: BackboneRanking, each: Any, count: int) -> None:
        if each.reference != ALIKE[0]:
            raise OutOfTimeError("The budget ended.")
        measure(look, each, count)

    monkeypatch.setattr(BackboneRanking, "_measure", late)
    orders = []
    for references in (ALIKE, ALIKE[::-1]):
        look = BackboneRanking.at(many, references, RunContext(SETTINGS, Budget(None), Silent()))
        assert [each.dropped for each in look.candidates] == ["", LATE, LATE]
        priors = [each.reference for each in look.priors if each.reference != ALIKE[0]]
        assert [each.reference for each in look.candidates[1:]] == priors
        orders.append([each.reference for each in look.candidates])
    assert orders[0] == orders[1]


def test_a_scratch_arm_without_time_is_none(
    pictures: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(
        importlib.import_module("headstart.pipeline.proving"),
        "has_time",
        lambda *given, **more: False,
    )
    settings = replace(SETTINGS, scratch=True)
    result = hs.fit(
        pictures, TINY, tmp_path / "model", strategy="feature-extraction", settings=settings
    )
    record = result.to_json()
    assert (record["verdict"], record["gain"]) == ("unknown", None)
    assert record["protocol"].endswith("as the budget left no time for it.")
    assert np.isfinite(record["arms"]["chosen"]["value"])
