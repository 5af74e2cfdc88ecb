"""Which places of the maps answer for which object: SimOTA (Ge et al. 2021)."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

_TOP: Final = 10  # places whose overlaps say how many an object gets
_RADIUS: Final = 2.5  # steps of the map around an object's middle
_OUTSIDE: Final = 1e6  # cost of a place that isn't both in the box and near its middle
_BOX_WEIGHT: Final = 3.0
_LEAST: Final = 1e-8


def overlaps(boxes: Tensor, others: Tensor) -> Tensor:
    """Intersection over union of each of (A, 4) with each of (B, 4), by corners: (A, B)."""
    low = torch.maximum(boxes[:, None, :2], others[None, :, :2])
    high = torch.minimum(boxes[:, None, 2:], others[None, :, 2:])
    both = (high - low).clamp(min=0).prod(2)
    areas = [(each[:, 2:] - each[:, :2]).clamp(min=0).prod(1) for each in (boxes, others)]
    return both / (areas[0][:, None] + areas[1][None] - both).clamp(min=_LEAST)


@torch.no_grad()
def assign(
    boxes: Tensor, scores: Tensor, places: Tensor, truth: Tensor, classes: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The places that answer for an object, the object of each, and its overlap with it.

    `boxes` (P, 4) are what each place says, in pixels, `scores` (P, C) how sure it is of each class
    from 0 to 1, `places` (P, 3) their middles and steps; `truth` (G, 4) and `classes` (G,) are the
    objects.
    """
    middles, steps = places[:, :2], places[:, 2]
    inside = torch.cat(
        [middles[:, None] - truth[None, :, :2], truth[None, :, 2:] - middles[:, None]], 2
    )
    in_box = inside.amin(2) > 0
    away = (middles[:, None] - (truth[:, :2] + truth[:, 2:])[None] / 2).abs().amax(2)
    near = away < _RADIUS * steps[:, None]
    candidates = torch.nonzero((in_box | near).any(1)).flatten()
    if not len(candidates):
        none = candidates.new_empty(0)
        return none, none, boxes.new_empty(0)
    overlap = overlaps(truth, boxes[candidates])
    one_hot = functional.one_hot(classes, scores.shape[1]).to(scores)
    likelihoods = scores[candidates].clamp(_LEAST, 1 - 1e-6)
    wrong = -(one_hot @ likelihoods.log().T + (1 - one_hot) @ (1 - likelihoods).log().T)
    central = (in_box & near)[candidates].T
    cost = wrong - _BOX_WEIGHT * (overlap + _LEAST).log() + _OUTSIDE * ~central
    return _matched(cost, overlap, candidates)


def _matched(cost: Tensor, overlap: Tensor, candidates: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Each object's cheapest places, as many as its overlaps add up to; a place has one object."""
    top = overlap.topk(min(_TOP, overlap.shape[1]), dim=1).values
    count = top.sum(1).int().clamp(min=1)
    matches = torch.zeros_like(cost, dtype=torch.bool)
    for row, number in enumerate(count.tolist()):
        matches[row, cost[row].topk(number, largest=False).indices] = True
    several = matches.sum(0) > 1
    if several.any():
        best = cost[:, several].argmin(0)
        matches[:, several] = False
        matches[best, torch.nonzero(several).flatten()] = True
    columns = torch.nonzero(matches.any(0)).flatten()
    objects = matches[:, columns].int().argmax(0)
    return candidates[columns], objects, overlap[objects, columns]
