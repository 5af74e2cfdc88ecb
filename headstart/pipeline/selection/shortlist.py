"""From many backbones to one: rank them, fine-tune the best briefly, try strategies on one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from headstart.data import Data
from headstart.pipeline.demands import AUTO, trains
from headstart.pipeline.prepare import RunContext, claim_many
from headstart.pipeline.selection import strategy_search
from headstart.pipeline.selection.ranking import BackboneRanking
from headstart.pipeline.selection.strategy_search import StrategySearch
from headstart.pipeline.selection.successive_halving import successive_halving
from headstart.results.ranking import Ranking
from headstart.runtime.workspace import Workspace

HALVED = 0.3  # of a budget, by when the backbone is chosen


def search(
    data: Data,
    asked: Sequence[str],
    strategy: str | None,
    around: RunContext,
    workspace: Workspace,
    download: bool,
    ready: Callable[[StrategySearch, Ranking | None], None],
) -> tuple[StrategySearch, Ranking]:
    """The best of several backbones, and the strategies that were tried on it.

    `ready` is called once there is a model. `asked` are references or patterns; without any, all
    backbones that are at hand, and with `download` some that must be fetched.
    """
    look = BackboneRanking.at(data, asked, download, around, strategy)
    claim_many(workspace, look.dataset, [each.reference for each in look.field], strategy, around)
    if trains(strategy):
        successive_halving(look, around.budget.until(HALVED))
    best = look.alive[0]
    if best.backbone is None:
        raise ValueError(f"{best.reference} was not loaded")
    alone = f"{best.reference} is taken, the only one there is to look at."
    compared = f"{best.reference} is chosen.\n{look.ranking()}"
    around.progress.say(alone if len(look.field) == 1 else compared)
    experiment = look.experiment(best.backbone)
    for sentence in experiment.remarks():
        around.progress.warn(sentence)
    ranking = look.ranking()
    made = strategy_search.run(
        experiment, best.backbone, strategy or AUTO, ready=lambda trial: ready(trial, ranking)
    )
    return made, ranking
