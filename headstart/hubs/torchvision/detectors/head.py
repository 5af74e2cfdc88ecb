"""A torchvision detector without its trunk, called with the maps that this answered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Final, final

import torch
from torch import Tensor, nn

from headstart.contracts.detector import (
    Boxes,
    LibraryHead,
    Maps,
    Objects,
    Supplied,
    pictures_like,
)
from headstart.contracts.suppression import Candidates, side_by_side, surest
from headstart.hubs.torchvision.detectors.parts import theirs
from headstart.hubs.torchvision.library import ImageList, models

_LEAST: Final = 0.003  # score of a box
_MOST: Final = 100  # boxes a picture
_SAYING_MODE: Final = (  # modules that answer losses while they train, and else boxes
    models.detection.FasterRCNN,
    models.detection.FCOS,
    models.detection.RetinaNet,
    models.detection.rpn.RegionProposalNetwork,
    models.detection.roi_heads.RoIHeads,
    models.detection.ssd.SSD,
)


@final
class Unchanged(nn.Module):
    """What stands where torchvision resizes and normalises pictures: they are so already."""

    def forward(self, images: Sequence[Tensor], targets: Any) -> tuple[Any, Any]:
        """A batch of pictures that are all of a size."""
        sizes = [(int(each.shape[1]), int(each.shape[2])) for each in images]
        return ImageList(images[0].expand(len(images), *images[0].shape), sizes), targets

    def postprocess(self, boxes: Any, sizes: Any, originals: Any) -> Any:
        """The boxes, which are in pixels of the pictures as they are fed."""
        return boxes


@final
class TorchvisionHead(LibraryHead, nn.Module):
    """Losses, anchors, assignment and suppression are torchvision's."""

    least: ClassVar[float] = _LEAST

    def __init__(self, network: nn.Module, classes: int, first: int, side: int) -> None:
        network.add_module("backbone", Supplied())
        network.add_module("transform", Unchanged())
        for module in network.modules():
            if isinstance(module, _SAYING_MODE):
                vars(module).update(score_thresh=_LEAST, detections_per_img=_MOST)
        super().__init__(network, classes, side)
        self.first = first

    def losses(self, maps: Maps, objects: Sequence[Objects]) -> Tensor:
        """The sum of torchvision's losses."""
        targets = [{"boxes": each.corners, "labels": each.kinds + self.first} for each in objects]
        with self._learning(True):
            parts = self._run(maps, targets)
        return torch.stack(list(parts.values())).sum()

    def answers(self, maps: Maps) -> Iterator[Boxes]:
        """What torchvision leaves after suppression."""
        with self._learning(False):
            detections = self._run(maps, None)
        for each in detections:
            yield Boxes(each["boxes"] / self.side, each["scores"], each["labels"] - self.first)

    def candidates(self, maps: Maps) -> tuple[Candidates, float | None]:
        """Those of a detector of one stage, as torchvision chooses them, before suppression."""
        network = self.network
        if isinstance(network, models.detection.FasterRCNN):
            raise NotImplementedError(
                "it looks a second time at what its first stage finds, which no form here holds"
            )
        features = list(theirs(maps).values())
        images = ImageList(pictures_like(maps, self.side)[:1], [(self.side, self.side)])
        anchors = network.anchor_generator(images, features)[0]  # type: ignore[operator]
        outputs = network.head(features)  # type: ignore[operator]
        parts = _scales(network, outputs, anchors, [each.shape[2:].numel() for each in features])
        sides = ((corners.clamp(0, self.side) / self.side, scores) for corners, scores in parts)
        looked = int(network.topk_candidates)  # type: ignore[arg-type]
        if isinstance(network, models.detection.ssd.SSD):  # which looks at as many of each class
            corners, scores = next(sides)
            each = (scores[..., n : n + 1] for n in range(scores.shape[2]))
            surest_boxes = [_as_kind(surest(corners, own, looked), n) for n, own in enumerate(each)]
        else:
            surest_boxes = [surest(corners, scores, looked) for corners, scores in sides]
        return side_by_side(surest_boxes), float(network.nms_thresh)  # type: ignore[arg-type]

    def _run(self, maps: Maps, targets: Any) -> Any:
        supplied = self.network.get_submodule("backbone")
        vars(supplied)["answer"] = theirs(maps)
        try:
            return self.network(list(pictures_like(maps, self.side)), targets)
        finally:
            vars(supplied)["answer"] = None

    @contextmanager
    def _learning(self, learning: bool) -> Iterator[None]:
        """Let it answer losses or boxes, in whichever mode its layers are."""
        modules = [each for each in self.network.modules() if isinstance(each, _SAYING_MODE)]
        before = [each.training for each in modules]
        for each in modules:
            each.training = learning
        try:
            yield
        finally:
            for each, mode in zip(modules, before, strict=True):
                each.training = mode


def _scales(
    network: Any, outputs: Mapping[str, Tensor], anchors: Tensor, places: Sequence[int]
) -> list[tuple[Tensor, Tensor]]:
    """Corners (N, P, 4) in pixels and scores (N, P, C) of each scale, of an SSD of all in one."""
    logits, moves = outputs["cls_logits"], outputs["bbox_regression"]
    if isinstance(network, models.detection.FCOS):
        corners = network.box_coder.decode(moves, anchors)
    else:
        many = anchors.expand(moves.shape[0], -1, -1)
        flat = network.box_coder.decode_single(moves.flatten(0, 1), many.flatten(0, 1))
        corners = flat.reshape(moves.shape)
    if isinstance(network, models.detection.ssd.SSD):
        return [(corners, logits.softmax(2)[..., 1:])]
    scores = logits.sigmoid()
    if isinstance(network, models.detection.FCOS):
        scores = (scores * outputs["bbox_ctrness"].sigmoid()).sqrt()
    each = logits.shape[1] // sum(places)  # anchors a place
    sizes = [each * count for count in places]
    parts = (torch.split(every, sizes, 1) for every in (corners, scores))
    return list(zip(*parts, strict=True))


def _as_kind(candidates: Candidates, kind: int) -> Candidates:
    return candidates._replace(kinds=torch.full_like(candidates.kinds, kind))
