"""Why a detector doesn't learn a few pictures by heart, from what it answers to them."""

from __future__ import annotations

from typing import Final, final

import numpy as np

from headstart.contracts import Metric, Preprocess
from headstart.contracts.boxes import MOST, NUMBERS, overlaps
from headstart.contracts.entry_points import located
from headstart.contracts.rehearsal import Rehearsal

_AT_HALF: Final = "headstart.metrics.precision:AP50"
_NEAR: Final = 0.1  # overlap
_MOST_ARE: Final = 0.8  # share of objects
_SEEN: Final = 8.0  # px of a side as pictures are fed, below which an object is hardly seen


@final
class ByHeart(Rehearsal):
    """Average precision at an overlap of a half, on pictures that were trained on."""

    def score(self, outputs: np.ndarray, targets: np.ndarray) -> float:
        """From boxes (N, MOST * NUMBERS) and objects (N, 1 + M, 5)."""
        metric: Metric = located(_AT_HALF)()
        return metric.of(outputs.reshape(len(outputs), MOST, NUMBERS), targets)

    def cause(self, outputs: np.ndarray, targets: np.ndarray, preprocess: Preprocess) -> str:
        """Objects that are too small, classes that are mixed, boxes that are off, or none."""
        truth, boxes = targets.copy(), outputs.reshape(-1, NUMBERS).copy()
        truth[:, 1:, 4] = np.minimum(truth[:, 1:, 4], 0)
        boxes[:, 5] = 0
        alike = boxes.reshape(outputs.shape)
        objects, side = targets[:, 1:][targets[:, 1:, 4] >= 0], int(preprocess["height"])
        small = (objects[:, 2:4] - objects[:, :2]).min(axis=1) * side < _SEEN
        if small.mean() > 1 - _MOST_ARE:
            return (
                f"{small.sum()} of {len(small)} objects are under {_SEEN:g} pixels wide or high at "
                f"the {side} pixels that pictures are seen in. Cut pictures into tiles, or give a "
                "larger ?size="
            )
        if self.score(alike, truth) >= self.enough:
            return (
                "Boxes are right and their classes are not. Check that numbers in the annotations "
                "stand for the names that are meant, and that classes look different"
            )
        if _share_near(alike, truth) >= _MOST_ARE:
            return (
                "Boxes lie near the objects and don't fit them. Train more of the network with -s, "
                "and check whether the marked boxes fit"
            )
        return (
            "Objects are not told from what is around them. Train more of the network with -s "
            "full-fine-tuning, or name a backbone with pretrained weights"
        )


def _share_near(outputs: np.ndarray, truth: np.ndarray) -> float:
    """The share of objects that one of the surest boxes, twice as many as objects, comes near."""
    near = total = 0
    for boxes, rows in zip(outputs.reshape(len(outputs), MOST, NUMBERS), truth, strict=True):
        objects = rows[1:][rows[1:, 4] >= 0]
        between = overlaps(boxes[: 2 * len(objects), :4], objects[:, :4])
        near += int((between.max(axis=0, initial=0.0) >= _NEAR).sum())
        total += len(objects)
    return near / max(total, 1)
