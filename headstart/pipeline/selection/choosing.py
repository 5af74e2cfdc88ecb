"""From many backbones to one; and how far their ranking is off, by fine-tuning all of them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Unpack, cast

from headstart.data import Data, data_of
from headstart.defaults import Settings
from headstart.errors import HeadstartError
from headstart.pipeline.demands import demand_steps
from headstart.pipeline.options import Options, settings_of
from headstart.pipeline.prepare import RunContext, Transfer
from headstart.pipeline.selection import strategy_search
from headstart.pipeline.selection.ranking import BackboneRanking
from headstart.pipeline.selection.successive_halving import successive_halving
from headstart.pipeline.sources.ranking import ranked
from headstart.pipeline.strategy_spec import StrategySpec
from headstart.results.ranking import CheckedRanking, Ranking
from headstart.runtime.progress import Show, as_progress

STRATEGY = "lp-ft"
HALVED = 0.3  # of a budget, by when the backbone is chosen


def choose_backbone(ranking: BackboneRanking) -> Transfer:
    """The best of the candidates; those that features leave level are fine-tuned briefly."""
    progress = ranking.context.progress
    if ranking.strategy.trains:
        successive_halving(ranking, ranking.context.budget.until(HALVED))
    if not ranking.lone:
        best = ranking.alive[0].reference
        alone = f"{best} is taken, the only one there is to look at."
        compared = f"{best} is chosen.\n{ranking.ranking()}"
        progress.say(alone if len(ranking.candidates) == 1 else compared)
    transfer = ranking.transfer()
    for sentence in transfer.experiment.remarks():
        progress.warn(sentence)
    return transfer


def prepare(data: Data, backbone: str, strategy: str | None, context: RunContext) -> Transfer:
    """Everything that can go wrong before work begins with one backbone: names, weights, data."""
    spec = StrategySpec.of(strategy, context.settings)
    return choose_backbone(BackboneRanking.at(data, [backbone], context, spec, lone=True))


def rank(
    data: Any,
    backbones: Sequence[str] = (),
    *,
    download: bool = False,
    settings: Settings | None = None,
    progress: Show = None,
    **options: Unpack[Options],
) -> Ranking:
    """Rank pretrained backbones for labelled data by their features, or tables to learn from.

    `backbones` are references or patterns; without any, all that are at hand are looked at, or a
    small one that is fetched, and with `download` more that must be. With `sources` these tables
    are ranked, by what rows of `data` reach beside each, and the answer is a `SourceRanking`, which
    no type of a setting can tell. Given a budget, those that
    features can't tell apart are fine-tuned briefly. Raises HeadstartError where there is none, or
    none can be used.
    """
    context = RunContext.of(settings_of(settings, options), as_progress(progress))
    if context.settings.sources:
        return cast(Ranking, ranked(data_of(data), context))
    ranking = BackboneRanking.at(data_of(data), backbones, context, download=download)
    if context.budget.limited and not ranking.lone:
        successive_halving(ranking, context.budget.until(1.0))
    return ranking.ranking()


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
    context = RunContext.of(settings_of(settings, options), as_progress(progress))
    spec = StrategySpec.of(strategy)
    ranking = BackboneRanking.at(data_of(data), backbones, context, download=download)
    ranked = context.budget.elapsed()
    truth: dict[str, float] = {}
    started = time.monotonic()
    for each in ranking.candidates:
        if each.backbone is None or not each.backbone.differentiable:
            continue
        experiment = ranking.experiment(each.backbone)
        experiment = replace(experiment, settings=replace(experiment.settings, scratch=False))
        demand_steps(spec, experiment, each.backbone)
        search = strategy_search.run(Transfer(experiment, each.backbone, spec))
        truth[each.reference] = float(search.arms[strategy].arm.scores.mean())
    if len(truth) < 2:
        raise HeadstartError(
            f"Of {len(ranking.candidates)} backbones {len(truth)} could be fine-tuned, and a check "
            "compares at least two. Name more with -b."
        )
    return CheckedRanking.of(ranking.ranking(), truth, ranked, time.monotonic() - started)
