"""What a detector learns by: how far boxes overlap, where objects are, and of which class."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from headstart.tasks.detection.assignment import assign

_BOX_WEIGHT: Final = 5.0  # as in YOLOX


def loss_of(outputs: Tensor, places: Tensor, targets: Tensor, side: int) -> Tensor:
    """The loss of a batch: `said` (N, P, 5 + C) at `places` (P, 3), `targets` (N, 1 + M, 5)."""
    boxes, objects, classes = outputs[..., :4], outputs[..., 4], outputs[..., 5:]
    target_objects = torch.zeros_like(objects)
    box_losses, class_losses, count = [], [], 0
    for number, rows in enumerate(targets[:, 1:]):
        truth = rows[rows[:, 4] >= 0]
        if not len(truth):
            continue
        corners, kinds = truth[:, :4] * side, truth[:, 4].long()
        sure = (objects[number, :, None].sigmoid() * classes[number].sigmoid()).detach().sqrt()
        own, matched, overlap = assign(boxes[number].detach(), sure, places, corners, kinds)
        if not len(own):
            continue
        count += len(own)
        target_objects[number, own] = 1.0
        pairs = _pairs(boxes[number, own], corners[matched])
        box_losses.append((1 - pairs**2).sum())
        soft = functional.one_hot(kinds[matched], classes.shape[2]) * overlap[:, None]
        class_losses.append(
            functional.binary_cross_entropy_with_logits(
                classes[number, own], soft.to(classes), reduction="sum"
            )
        )
    total = functional.binary_cross_entropy_with_logits(objects, target_objects, reduction="sum")
    if box_losses:
        total = (
            total + _BOX_WEIGHT * torch.stack(box_losses).sum() + torch.stack(class_losses).sum()
        )
    return total / max(count, 1)


def _pairs(boxes: Tensor, others: Tensor) -> Tensor:
    """Intersection over union of boxes (A, 4) with others, one each: (A,)."""
    low, high = (
        torch.maximum(boxes[:, :2], others[:, :2]),
        torch.minimum(boxes[:, 2:], others[:, 2:]),
    )
    both = (high - low).clamp(min=0).prod(1)
    areas = [(each[:, 2:] - each[:, :2]).clamp(min=0).prod(1) for each in (boxes, others)]
    return both / (areas[0] + areas[1] - both).clamp(min=1e-8)
