"""Looks at several candidates, each done wherever the executor works; there it is loaded anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from headstart.contracts.executor import Local
from headstart.errors import HeadstartError
from headstart.evidence.trials import Trial, outcomes, slot
from headstart.pipeline.selection.candidates import Candidate, reason
from headstart.runtime.budget import Budget

if TYPE_CHECKING:
    from headstart.pipeline.selection.ranking import BackboneRanking

Look = Callable[["BackboneRanking", Candidate, Budget], Candidate]  # at one, until its time ends


def looks(
    ranking: BackboneRanking, candidates: Sequence[Candidate], look: Look, until: Budget
) -> Iterator[tuple[Candidate, Candidate]]:
    """Each candidate with what a look at it came to, in their order, within its part of the time.

    Where others look that is a copy without its network. The items of a lone one are shared out.
    """
    executor = ranking.context.executor if len(candidates) > 1 else Local()

    def trials() -> Iterator[Trial]:
        for place, each in enumerate(candidates):
            own = slot(until, len(candidates) - place, executor)
            yield Trial(each, ranking.context.budget, own)

    call = partial(_looked_at, ranking, look)
    yield from zip(candidates, outcomes(executor, call, trials()), strict=True)


def look_at_all(
    ranking: BackboneRanking, candidates: Sequence[Candidate], look: Look, until: Budget
) -> None:
    """Let each candidate know what a look at it came to."""
    for each, other in looks(ranking, candidates, look, until):
        each.take(other)


def first_look(count: int, ranking: BackboneRanking, each: Candidate, until: Budget) -> Candidate:
    """On so many items, and on fewer where time is short."""
    ranking.look_at(each, count, until)
    return each


def closer_look(
    count: int, share: float, ranking: BackboneRanking, each: Candidate, _: Budget
) -> Candidate:
    """On so many items, unless a share of the budget is spent."""
    if ranking.context.budget.spent() <= share:
        ranking.look_at(each, count)
    return each


def _looked_at(ranking: BackboneRanking, look: Look, trial: Trial) -> Candidate:
    each: Candidate = trial.what
    if each.backbone is None:
        own = replace(ranking.context, budget=trial.budget)
        ranking = replace(ranking, context=own, candidates=[each])
        try:
            network = own.prepared(own.load(each.reference), ranking.dataset)
            each.backbone = own.backbone_for_task(ranking.dataset, network, alone=False)
        except (HeadstartError, ImportError, MemoryError) as error:
            each.dropped = reason(error)
            return each
    return look(ranking, each, trial.until)
