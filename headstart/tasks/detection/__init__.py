"""Detection: boxes around objects, each with its class and a score."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast, final

import numpy as np

from headstart.contracts import Backbone, Metric, Task
from headstart.contracts.boxes import FOUND, MOST, NUMBERS, matches
from headstart.contracts.entry_points import located
from headstart.contracts.levels import Level
from headstart.contracts.places import Extent, Motion
from headstart.contracts.rehearsal import Rehearsal
from headstart.contracts.task import Answered
from headstart.tasks.detection.causes import ByHeart

if TYPE_CHECKING:  # so that a saved model answers without torch
    from torch import Tensor, nn

    from headstart.contracts.detector import DetectorHead, LibraryHead
    from headstart.contracts.model import Batch, Model, Step

_AN_ANSWER: Final = 0.5  # score from which a box is one
_AT_HALF: Final = "headstart.metrics.precision:AP50"
_RATES: Final = 2e-2, 3e-3  # of pretrained last layers, and of others
_LIBRARY_RATES: Final = 1e-4, 5e-4  # of a library's own transformers, and of others
_ENOUGH: Final = 0.8  # AP at an overlap of a half, from which no dearer strategy is tried


@final
class Detection(Task):
    """Boxes, objects and classes as in YOLOX, or as the detector's own library has them.

    They are judged by COCO's average precision.
    Outputs are rows (N, 600) of the 100 surest boxes, six numbers each: corners in units of the
    picture's longer side, score, and the number of the class; 0 behind the last one.
    """

    own_metric: ClassVar[str] = "headstart.metrics.precision:AP"
    kind: ClassVar[str] = "boxes"
    has_probe: ClassVar[bool] = False
    reads_maps: ClassVar[bool] = True
    views: ClassVar[int] = 3
    takes_latest: ClassVar[bool] = True  # as each score on a few dozen photos is mostly noise
    rehearsal: ClassVar[Rehearsal | None] = ByHeart()
    ladder: ClassVar[tuple[str, ...]] = (
        "feature-extraction?head=trained",
        "last-stages?count=1&probe=false&decay=0.05",
        "full-fine-tuning?decay=0.05",
    )

    def __init__(
        self,
        levels: Sequence[Level] = (),
        detector: Callable[[Sequence[str]], LibraryHead] | None = None,
    ) -> None:
        self.levels = levels
        self.detector = detector

    def backbone(self, backbone: Backbone) -> Backbone:
        """The same network without its pooling; one without levels gets some of its stages'."""
        from headstart.tasks.detection.trunk import with_maps

        if backbone.summary is not None:
            return backbone
        own = bool(backbone.levels or backbone.detector)
        maps = backbone if own else with_maps(backbone)
        return replace(
            maps,
            stages=maps.unpooled(),
            pool=_identity(),
            summary=maps.pool,
            for_task=self.backbone,
        )

    def for_backbone(self, backbone: Backbone) -> Task:
        """The task with the scales of this backbone's maps."""
        own = Detection(backbone.levels, backbone.detector)
        own.measure = self.measure
        if backbone.detector:
            own.learning_rate = _LIBRARY_RATES[not backbone.delicate]
            return own
        has_layers = all(each.layers for each in own.levels)
        own.untrained, own.learning_rate = (
            ("zero-shot", _RATES[0]) if has_layers else ("", _RATES[1])
        )
        return own

    def output_dim(self, labels: Sequence[str]) -> int:
        """Six numbers of each of 100 boxes."""
        return MOST * NUMBERS

    def head(self, feature_dim: int, labels: Sequence[str]) -> nn.Module:
        """The last layers, pretrained but for the classes where there are such."""
        if self.detector is not None:
            return self.detector(labels)
        from headstart.tasks.detection.head import DetectionHead

        return DetectionHead(self.levels, len(labels))

    def step(self, model: Model, batch: Batch) -> Step:
        """One pass with the losses of boxes, objects and classes; of one picture at least."""
        from headstart.contracts.maps import MeanOfMaps
        from headstart.contracts.model import Step

        maps = model.features(batch.inputs, batch.start)
        loss = cast("DetectorHead", model.head).loss(maps, batch.targets)
        features = MeanOfMaps()(maps)
        return Step(features, loss, features, batch.targets)

    def naive(self, targets: np.ndarray, labels: Sequence[str]) -> np.ndarray:
        """One box: the middle of all training boxes, of the commonest class."""
        row = np.zeros(self.output_dim(labels), dtype=np.float32)
        boxes = [each for rows in targets for each in rows[1:] if each[4] >= 0]
        if boxes:
            kinds = np.array([each[4] for each in boxes], dtype=np.int64)
            row[:4] = np.median(boxes, axis=0)[:4]
            row[4:6] = 1.0, np.bincount(kinds).argmax()
        return row

    def predictions(self, outputs: np.ndarray) -> np.ndarray:
        """The boxes of each picture, (N, 100, 6)."""
        return outputs.reshape(len(outputs), -1, NUMBERS)

    def losses(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """What of a picture is missed or made up: 1 less the F1 of its boxes at a half, (N,)."""
        boxes = self.predictions(outputs)
        sure, hits = boxes[..., 4], matches(boxes, targets, np.array([0.5]))[..., 0] == FOUND
        right = (sure * hits).sum(axis=1, dtype=np.float64)
        total = (sure.sum(axis=1) + targets[:, 0, 2]).astype(np.float64)
        return np.where(total > 0, 1 - 2 * right / np.where(total > 0, total, 1), 0.0)

    def moved(self, targets: np.ndarray, motions: Sequence[Motion | None]) -> np.ndarray:
        """Targets as they are in random views."""
        rows = targets.copy()
        for row, motion in zip(rows, motions, strict=True):
            if motion is None:
                continue
            boxes = row[1:][row[1:, 4] >= 0]
            if motion.mirrored:
                boxes[:, [0, 2]] = row[0, 0] / max(row[0, :2]) - boxes[:, [2, 0]]
            boxes[:, :4] *= motion.scale
            row[1 : 1 + len(boxes)] = boxes
        return rows

    def enough(self, outputs: np.ndarray, targets: np.ndarray) -> bool:
        """Whether AP at an overlap of a half is good enough to look no further."""
        at_half: Metric = located(_AT_HALF)()
        return at_half.of(self.predictions(outputs), targets) >= _ENOUGH

    def settled(self, head: nn.Module, outputs: np.ndarray, targets: np.ndarray) -> None:
        """Let half be the score from which boxes of each class are best answered, by its F1."""
        import torch

        from headstart.tasks.detection.thresholds import best

        powers = cast("Tensor", head.powers)
        for number in range(len(powers)):
            threshold = best(self.predictions(outputs), targets, number)
            with torch.no_grad():
                powers[number] = float(np.log(_AN_ANSWER) / np.log(threshold))

    def findings(
        self, test: Answered, validation: Answered, labels: Sequence[str]
    ) -> tuple[str, Mapping[str, Any]]:
        """Curves, classes, and boxes that were missed, made up or misplaced."""
        from headstart.tasks.detection import findings

        parts = [
            findings.Answered(self.predictions(outputs), targets, ids)
            for outputs, targets, ids in (test, validation)
        ]
        return "boxes", findings.worth_a_look(parts[0], parts[1], labels)

    def decode(self, outputs: np.ndarray, labels: Sequence[str]) -> list[dict[str, Any]]:
        """The boxes above their class's threshold, the surest first; corners as in outputs."""
        return [
            {
                "boxes": [
                    {
                        "label": labels[int(each[5])],
                        "score": round(float(each[4]), 5),
                        "box": [float(side) for side in each[:4]],
                    }
                    for each in boxes
                    if each[4] >= _AN_ANSWER
                ]
            }
            for boxes in self.predictions(outputs)
        ]

    def placed(self, answer: Mapping[str, Any], extent: Extent) -> dict[str, Any]:
        """The answer with corners in pixels of the picture, none outside it."""
        longer, sides = max(extent.width, extent.height), [extent.width, extent.height] * 2
        return {
            "size": [extent.width, extent.height],
            "boxes": [
                {
                    **each,
                    "box": [
                        round(min(max(side * longer, 0.0), most), 2)
                        for side, most in zip(each["box"], sides, strict=True)
                    ],
                }
                for each in answer["boxes"]
            ],
        }


def _identity() -> nn.Module:
    from torch import nn

    return nn.Identity()
