"""A detector of transformers without its trunk, called with the maps that this answered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final, final

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPooling

from headstart.contracts.boxes import MOST
from headstart.contracts.detector import (
    Boxes,
    LibraryHead,
    Maps,
    Objects,
    Supplied,
    pictures_like,
)
from headstart.contracts.suppression import Candidates, surest
from headstart.hubs.huggingface.detectors.families import DetectorFamily
from headstart.hubs.huggingface.parts import Part

_MAP: Final = "map"
_TOKENS: Final = "tokens"


@final
@dataclass(frozen=True)
class Trunk(Part):
    """Pictures (N, 3, H, W) to maps by name; of tokens those that boxes are read from."""

    names: tuple[str, ...]
    tokens: int = 0

    def run(self, stage: nn.Module, inputs: Tensor) -> dict[str, Tensor]:
        """Maps (N, C, h, w); tokens as such a map (N, C, T, 1)."""
        trunk = stage.get_submodule(self.names[0])
        if self.tokens:
            hidden = trunk(inputs).last_hidden_state[:, -self.tokens :]
            return {_TOKENS: hidden.transpose(1, 2)[..., None].contiguous()}
        whole = torch.ones(inputs.shape[0], *inputs.shape[2:], device=inputs.device)
        maps = [each[0] for each in trunk(inputs, whole)]
        return {f"{_MAP}{number}": values for number, values in enumerate(maps)}


@final
class TransformersHead(LibraryHead, nn.Module):
    """Losses, matching and the choice of boxes are those of transformers."""

    def __init__(self, network: nn.Module, family: DetectorFamily, classes: int, side: int) -> None:
        network.set_submodule(family.trunk, Supplied())
        super().__init__(network, classes, side)
        self.family = family

    def losses(self, maps: Maps, objects: Sequence[Objects]) -> Tensor:
        """The weighted sum of transformers' losses."""
        targets = [
            {"class_labels": each.kinds, "boxes": _centred(each.corners / self.side)}
            for each in objects
        ]
        loss: Tensor = self._run(maps, targets).loss
        return loss

    def answers(self, maps: Maps) -> Iterator[Boxes]:
        """What the model's own processor makes of its answers, whatever the score."""
        processor = getattr(import_module("transformers"), self.family.processor)()
        answers = self._run(maps, None)
        for each in processor.post_process_object_detection(answers, threshold=0.0):
            yield Boxes(each["boxes"], each["scores"], each["labels"])

    def candidates(self, maps: Maps) -> tuple[Candidates, float | None]:
        """All that its queries answer: two of them are hardly ever about one object."""
        answers = self._run(maps, None)
        middles, sides = answers.pred_boxes[..., :2], answers.pred_boxes[..., 2:]
        corners = torch.cat([middles - sides / 2, middles + sides / 2], 2)
        if self.family.softmax:  # with a class more for no object; each query has one answer
            scores, kinds = answers.logits.softmax(2)[..., :-1].max(2)
            return Candidates(corners, scores, kinds), None
        queries = answers.logits.shape[1]
        most = queries if self.family.as_many_as_queries else MOST
        return surest(corners, answers.logits.sigmoid(), most), None

    def _run(self, maps: Maps, labels: Any) -> Any:
        supplied = self.network.get_submodule(self.family.trunk)
        vars(supplied)["answer"] = self._as_trunk(maps)
        try:
            return self.network(pixel_values=pictures_like(maps, self.side), labels=labels)
        finally:
            vars(supplied)["answer"] = None

    def _as_trunk(self, maps: Maps) -> Any:
        if self.family.tokens:
            hidden = maps[_TOKENS][..., 0].transpose(1, 2)
            return BaseModelOutputWithPooling(last_hidden_state=hidden)
        ordered = (maps[f"{_MAP}{number}"] for number in range(len(maps)))
        return [(each, torch.ones_like(each[:, 0], dtype=torch.bool)) for each in ordered]


def _centred(corners: Tensor) -> Tensor:
    low, high = corners[:, :2], corners[:, 2:]
    return torch.cat([(low + high) / 2, high - low], 1)
