"""The middle layers of candidates, which may suit the data better than the last."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from headstart.contracts import Backbone
from headstart.contracts.references import parse
from headstart.errors import HeadstartError
from headstart.loading.variants import LAYER, layers_of
from headstart.pipeline.selection.candidates import Candidate, behind, reason
from headstart.pipeline.selection.looks import looks
from headstart.runtime.budget import Budget

if TYPE_CHECKING:
    from headstart.pipeline.selection.ranking import BackboneRanking

MOST: Final = 4  # layers of a network that are looked at beside its last, and then near the best
_NEAR: Final = (-0.6, -0.2, 0.2, 0.6)  # of the distance between the first ones


def look_deeper(ranking: BackboneRanking, count: int, share: float) -> None:
    """Let each candidate answer by the layer that suits the data best, where one is better.

    Of trained networks some layers are looked at as their last was, on `count` items, and then some
    near the best of them, until a share of the budget is spent. One takes its place where it is
    clearly better on the same items (Evci et al. 2022, who find that middle layers help where the
    source is far).
    """
    pretrained = [own for own in ranking.alive if own.pretrained and len(own.by_item)]
    deep = [own for own in pretrained if _is_deep(own)]
    until = ranking.context.budget.until(share)
    for each, best in looks(ranking, deep, partial(_deeper, count, share), until):
        if best.reference == each.reference:
            continue
        if best.backbone is None:
            best.backbone = _cut(each, best.reference, ranking)
        ranking.candidates[ranking.candidates.index(each)] = best
        sign = ranking.experiment(each.loaded).task.sign
        ranking.context.progress.say(
            f"{best.reference} suits these data better than the last layer of that network: "
            f"{sign * best.by_item.mean():.3f} against {sign * each.by_item.mean():.3f}."
        )


def _is_deep(each: Candidate) -> bool:
    """Whether there is a layer to look at."""
    layer = parse(each.reference).options.get(LAYER)
    return bool(evenly(each.loaded) or near(each.loaded, layer))


def _deeper(
    count: int, share: float, ranking: BackboneRanking, each: Candidate, _: Budget
) -> Candidate:
    """The candidate at the layer that suits the data best, or itself where none is better."""
    best, layers = each, set[str]()
    for candidates in (evenly, near):
        for layer in candidates(each.loaded, parse(best.reference).options.get(LAYER)):
            if ranking.context.budget.spent() > share:
                break
            if layer not in layers:
                best = _better(best, _looked_at(each, layer, ranking, count))
                layers.add(layer)
    return best if best is not each and behind(best, each).low > 0 else each


def _better(best: Candidate, other: Candidate) -> Candidate:
    return other if len(other.by_item) and other.by_item.mean() > best.by_item.mean() else best


def evenly(backbone: Backbone, _: str | None = None) -> list[str]:
    """Some of its layers, spread evenly over its depth; none where one was chosen already."""
    every = layers_of(backbone) if LAYER not in backbone.architecture.options else ()
    if len(every) <= MOST:
        return list(every)
    return [every[(place + 1) * len(every) // (MOST + 1)] for place in range(MOST)]


def near(backbone: Backbone, layer: str | None) -> list[str]:
    """Some of its layers on both sides of one, up to its neighbours among those spread evenly."""
    every = layers_of(backbone)
    if layer not in every or len(every) <= MOST:
        return []
    places = (every.index(layer) + round(part * len(every) / (MOST + 1)) for part in _NEAR)
    return [every[place] for place in places if 0 <= place < len(every)]


def _looked_at(each: Candidate, layer: str, ranking: BackboneRanking, count: int) -> Candidate:
    """The same network up to a layer. One that can't be cut there is dropped, with the reason."""
    reference = parse(each.reference).with_options(**{LAYER: layer, "output": None})
    other = Candidate(str(reference), each.card)
    try:
        other.backbone = _cut(each, other.reference, ranking)
    except (HeadstartError, RuntimeError) as error:
        other.dropped = reason(error)
    else:
        ranking.look_at(other, count)
    return other


def _cut(each: Candidate, reference: str, ranking: BackboneRanking) -> Backbone:
    """A candidate's network up to a layer; it shares the modules, unless the hub cuts it itself."""
    from headstart.loading.layers import cut_at

    if each.loaded.layers:
        return ranking.context.load(reference)
    cut = cut_at(each.loaded, parse(reference).options[LAYER])
    return replace(cut, origin=replace(cut.origin, reference=reference))
