"""The middle layers of candidates, which may suit the data better than the last."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from headstart.contracts import Backbone
from headstart.contracts.references import parse
from headstart.errors import HeadstartError
from headstart.loading.layers import OPTION, cut_at, layers_of
from headstart.pipeline.selection.candidates import Candidate, behind, reason

if TYPE_CHECKING:
    from headstart.pipeline.selection.ranking import BackboneRanking

MOST: Final = 4  # layers of a network that are looked at beside its last


def look_deeper(ranking: BackboneRanking, count: int, share: float) -> None:
    """Let each candidate answer by the layer that suits the data best, where one is better.

    Of trained networks some layers are looked at as their last was, on `count` items, until a share
    of the budget is spent. One takes its place where it is clearly better on the same items
    (Evci et al. 2022, who find that middle layers help where the source is far).
    """
    for each in [own for own in ranking.alive if own.pretrained and len(own.by_item)]:
        best = each
        for layer in evenly(each.loaded):
            if ranking.context.budget.spent() > share:
                return
            other = _candidate(each, layer, ranking)
            if not other.dropped:
                ranking.look_at(other, count)
            if len(other.by_item) and other.by_item.mean() > best.by_item.mean():
                best = other
        if best is not each and behind(best, each).low > 0:
            ranking.candidates[ranking.candidates.index(each)] = best
            sign = ranking.experiment(each.loaded).task.sign
            ranking.context.progress.say(
                f"{best.reference} suits these data better than the last layer of that network: "
                f"{sign * best.by_item.mean():.3f} against {sign * each.by_item.mean():.3f}."
            )


def evenly(backbone: Backbone) -> list[str]:
    """Some of its layers, spread evenly over its depth; none where one was chosen already."""
    every = layers_of(backbone) if OPTION not in backbone.architecture.options else ()
    if len(every) <= MOST:
        return list(every)
    return [every[(place + 1) * len(every) // (MOST + 1)] for place in range(MOST)]


def _candidate(each: Candidate, layer: str, ranking: BackboneRanking) -> Candidate:
    """The same network up to a layer; it shares the modules, unless the hub cuts it itself.

    One that can't be cut there is dropped, with the reason.
    """
    reference = parse(each.reference).with_options(**{OPTION: layer, "output": None})
    other = Candidate(str(reference), each.card)
    try:
        if each.loaded.layers:
            other.backbone = ranking.context.load(str(reference))
            return other
        cut = cut_at(each.loaded, layer)
        other.backbone = replace(cut, origin=replace(cut.origin, reference=str(reference)))
    except (HeadstartError, RuntimeError) as error:
        other.dropped = reason(error)
    return other
