"""Rank backbones, and see how far the ranking is off by fine-tuning every one of them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Unpack

from headstart.data import data_of
from headstart.defaults import Settings
from headstart.errors import HeadstartError
from headstart.pipeline.demands import validate_strategy
from headstart.pipeline.options import Options, settings_of
from headstart.pipeline.prepare import RunContext
from headstart.pipeline.selection import strategy_search
from headstart.pipeline.selection.ranking import BackboneRanking
from headstart.pipeline.selection.successive_halving import successive_halving
from headstart.results.ranking import CheckedRanking, Ranking
from headstart.runtime.progress import Show, as_progress

STRATEGY = "lp-ft"


def rank(
    data: Any,
    backbones: Sequence[str] = (),
    *,
    download: bool = False,
    settings: Settings | None = None,
    progress: Show = None,
    **options: Unpack[Options],
) -> Ranking:
    """Rank pretrained backbones for labelled data by their features.

    `backbones` are references or patterns; without any, all that are at hand are looked at, or a
    small one that is fetched, and with `download` more that must be. Given a budget, those that
    features can't tell apart are fine-tuned briefly. Raises HeadstartError where there is none, or
    none can be used.
    """
    data = data_of(data)
    around = RunContext.of(settings_of(settings, options), as_progress(progress))
    look = BackboneRanking.at(data, backbones, download, around)
    if around.budget.limited:
        successive_halving(look, around.budget.until(1.0))
    return look.ranking()


def check_ranking(
    data: Any,
    backbones: Sequence[str] = (),
    *,
    strategy: str = STRATEGY,
    download: bool = False,
    settings: Settings | None = None,
    progress: Show = None,
    **options: Unpack[Options],
) -> CheckedRanking:
    """Rank backbones, then fine-tune all of them and say what following the ranking would cost.

    Raises HeadstartError where fewer than two can be fine-tuned.
    """
    data = data_of(data)
    around = RunContext.of(settings_of(settings, options), as_progress(progress))
    validate_strategy(strategy)
    look = BackboneRanking.at(data, backbones, download, around)
    ranked = around.budget.elapsed()
    truth: dict[str, float] = {}
    started = time.monotonic()
    for each in look.field:
        if each.backbone is None or not each.backbone.differentiable:
            continue
        experiment = look.experiment(each.backbone)
        experiment = replace(experiment, settings=replace(experiment.settings, scratch=False))
        made = strategy_search.run(experiment, each.backbone, strategy).tried[strategy]
        truth[each.reference] = float(made.arm.scores.mean())
    if len(truth) < 2:
        raise HeadstartError(
            f"Of {len(look.field)} backbones {len(truth)} could be fine-tuned, and a check "
            "compares at least two. Name more with -b."
        )
    return CheckedRanking.of(look.ranking(), truth, ranked, time.monotonic() - started)
