"""Which of a detector's boxes are answers, by operations that graphs of other runtimes hold too."""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
from torch import Tensor
from torchvision import ops

from headstart.contracts.boxes import MOST, NUMBERS

_BOUNDS: Final = -1.0, 2.0  # in sides of a picture, within which boxes are compared


class Candidates(NamedTuple):
    """Boxes of pictures: corners (N, K, 4) in units of a side, scores (N, K), classes (N, K)."""

    corners: Tensor
    scores: Tensor
    kinds: Tensor


def surest(corners: Tensor, scores: Tensor, most: int) -> Candidates:
    """The `most` surest boxes of each picture: `corners` (N, P, 4), `scores` (N, P, C)."""
    classes, flat = scores.shape[2], scores.flatten(1)
    top = flat.topk(min(most, flat.shape[1]), dim=1)
    return Candidates(_of(corners, top.indices // classes), top.values, top.indices % classes)


def side_by_side(parts: list[Candidates]) -> Candidates:
    """Those of several scales as one."""
    return Candidates(*(torch.cat(each, 1) for each in zip(*parts, strict=True)))


def rows(candidates: Candidates, overlap: float | None, least: float) -> Tensor:
    """The boxes that stay: (N, MOST * NUMBERS), the surest first, zeros behind them.

    Of two of one class that overlap by more than `overlap` the surer one stays, all where that is
    None, and none whose score isn't above `least`.
    """
    corners, scores, kinds = candidates
    stay = scores > least if overlap is None else _apart(candidates, overlap, least)
    sure = torch.where(stay, scores, 0.0)
    top = sure.topk(min(MOST, sure.shape[1]), dim=1)
    own, names = _of(corners, top.indices), kinds.gather(1, top.indices).to(corners)
    whole = torch.cat([own, top.values[..., None], names[..., None]], 2)
    whole = torch.where(top.values[..., None] > 0, whole, 0.0)
    missing = MOST - whole.shape[1]
    return torch.nn.functional.pad(whole, (0, 0, 0, missing)).reshape(-1, MOST * NUMBERS)


def sorted_by_power(whole: Tensor, powers: Tensor) -> Tensor:
    """Rows of boxes whose scores are raised to the power of their class, the surest first."""
    boxes = whole.reshape(-1, MOST, NUMBERS)
    sure = boxes[..., 4].clamp(0, 1) ** powers[boxes[..., 5].long()]
    top = sure.topk(MOST, dim=1)
    own = boxes.gather(1, top.indices[..., None].expand(-1, -1, NUMBERS))
    parts = [own[..., :4], top.values[..., None], own[..., 5:]]
    return torch.cat(parts, 2).reshape(-1, MOST * NUMBERS)


def _of(corners: Tensor, places: Tensor) -> Tensor:
    return corners.gather(1, places[..., None].expand(-1, -1, 4))


def _apart(candidates: Candidates, overlap: float, least: float) -> Tensor:
    """Whether each box stays, (N, K): all pictures at once in a graph, else each by itself.

    At once takes as many comparisons as all pictures have boxes, but no loop.
    """
    if torch.compiler.is_exporting():
        return _suppressed(candidates, overlap, least)
    count = len(candidates.scores)
    parts = [Candidates(*(each[n : n + 1] for each in candidates)) for n in range(count)]
    return torch.cat([_suppressed(each, overlap, least) for each in parts])


def _suppressed(candidates: Candidates, overlap: float, least: float) -> Tensor:
    """The same by one call: boxes of other classes, and of other pictures, lie far apart."""
    corners, scores, kinds = candidates
    pictures = torch.arange(scores.shape[0], device=scores.device)[:, None].expand_as(kinds)
    low, high = _BOUNDS
    away = torch.stack([kinds, pictures], 2).to(torch.float32) * (high - low)
    boxes = (corners.float().clamp(low, high) + torch.cat([away, away], 2)).flatten(0, 1)
    flat = scores.flatten().float()
    some = torch.nonzero(flat > least).squeeze(1)
    stay = some[ops.nms(boxes[some], flat[some], overlap)]
    return torch.zeros_like(flat).index_fill(0, stay, 1.0).reshape(scores.shape) > 0
