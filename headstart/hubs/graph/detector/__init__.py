"""A detector in an ONNX file: its trunk, the branches of its head, and its last layers.

Its answers come from 1x1 convolutions on maps of one or several scales: one of 4 channels for
boxes, one of 1 for whether there is an object, and one with a channel a class (YOLOX, Ge et al.
2021). What they read are the features. Pictures are fed in their own shape on grey, blue first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from itertools import chain
from typing import Any, Final, final

import numpy as np
import torch
from torch import Tensor, nn

from headstart.contracts import Backbone
from headstart.contracts.levels import Level
from headstart.contracts.maps import MeanOfMaps
from headstart.errors import HeadstartError, reason
from headstart.hubs.graph import trainable
from headstart.hubs.graph.detector.finding import ROLES, LastLayers
from headstart.hubs.graph.detector.finding import find as find
from headstart.hubs.graph.planning import GraphSpec
from headstart.loading import head_removal

_WHOLE: Final = 255.0  # levels of a picture, as YOLOX is fed
_PART: Final = "trunk", "branches"


@final
class Part(nn.Module):
    """A part of the graph: from pictures, 0 to 1, or from named maps, to named maps.

    Its tensors begin with its name, as no part's names need differ from another's.
    """

    def __init__(
        self, name: str, network: nn.Module, answers: Sequence[str], level: float = 0.0
    ) -> None:
        super().__init__()
        self.add_module(name, network)
        self.part = name
        self.answers = tuple(answers)
        self.level = level
        self.alone = False  # whether it takes one picture at a time

    def forward(self, inputs: Any) -> dict[str, Tensor]:
        """Pictures (N, 3, H, W), red first, or maps (N, C, h, w) by name -> maps by name."""
        values = [inputs.flip(1) * self.level] if self.level else [*inputs.values()]
        if not self.alone:
            return dict(zip(self.answers, self._maps(values), strict=True))
        each = [self._maps([v[n : n + 1] for v in values]) for n in range(len(values[0]))]
        maps = (torch.cat(own) for own in zip(*each, strict=True))
        return dict(zip(self.answers, maps, strict=True))

    def _maps(self, values: Sequence[Tensor]) -> Sequence[Tensor]:
        maps = self.get_submodule(self.part)(*values)
        return maps if isinstance(maps, list | tuple) else [maps]


def load(spec: GraphSpec, last: LastLayers) -> Backbone:
    """The detector without its last layers, which `levels` keep.

    Raises HeadstartError where it can't be turned into a network of torch.
    """
    content = _whole(spec, last)
    parts = _parts(spec, last, content)
    options = replace(spec.options, mean=spec.options.mean or "0", std=spec.options.std or "1")
    own = replace(spec, options=options)
    preprocess = own.preprocess((3, *last.sides), False, False) | {"crop_mode": "letterbox"}
    network = nn.Module()
    for part in parts:
        network.add_module(part.part, part.get_submodule(part.part))
    pretrained = spec.options.pretrained or spec.reference.weights is not None
    if not pretrained:
        trainable.renew(network)
    maps = _maps_of(parts, head_removal.example(preprocess, torch.rand))
    body = head_removal.Headless(
        network=network,
        stages={part.part: part for part in parts},
        feature_dim=sum(each.shape[1] for each in maps.values()),
        head=None,
        head_name=head_removal.free_name(network),
        pool=MeanOfMaps(),
    )
    architecture = own.architecture(preprocess, trainable.FILE)
    backbone = head_removal.backbone(
        head_removal.filled(body, spec.reference),
        reference=spec.reference,
        architecture=architecture,
        pretrained=pretrained,
        preprocess=preprocess,
        files={trainable.FILE: content},
    )
    return replace(backbone, levels=_levels(last, pretrained, maps), pool=backbone.pool)


def _maps_of(parts: Sequence[Part], pictures: Tensor) -> dict[str, Tensor]:
    """The maps of one picture; where two come out otherwise, let them pass one at a time.

    As in files for a batch of one, whose shapes are written down.
    """
    trunk = nn.Sequential(*parts).eval()
    with torch.no_grad():
        alone: dict[str, Tensor] = trunk(pictures[1:])
        try:
            both = trunk(pictures)
            fits = all(_alike(both[name][1:], values) for name, values in alone.items())
        except RuntimeError:  # of shapes that two don't have
            fits = False
    for part in parts:
        part.alone = not fits
    return alone


def _alike(values: Tensor, others: Tensor) -> bool:
    return values.shape == others.shape and torch.allclose(values, others, rtol=1e-3, atol=1e-3)


def _whole(spec: GraphSpec, last: LastLayers) -> bytes:
    """The file up to its last layers, with them."""
    if spec.saved:
        return spec.path.read_bytes()
    outputs = [each[role].output[0] for each in last.levels for role in ROLES]
    return _extracted(spec, last, [last.picture], outputs)


def _extracted(
    spec: GraphSpec, last: LastLayers, start: Sequence[str], end: Sequence[str]
) -> bytes:
    try:
        extractor = import_module("onnx.utils").Extractor(last.model)
        content: bytes = extractor.extract_model([*start], [*end]).SerializeToString()
    except Exception as error:  # its checks raise nearly anything
        raise HeadstartError(
            f"{spec.path} can't be cut before its last layers ({reason(error)}). "
            "Name a tensor with output=NAME to use it for whole pictures."
        ) from error
    return content


def _parts(spec: GraphSpec, last: LastLayers, whole: bytes) -> list[Part]:
    """The trunk and the branches, or both as one where they can't be told apart."""
    maps = last.maps()
    level = _WHOLE if last.family else 1.0
    stems = list(dict.fromkeys(last.stems))
    if all(stems) and len(stems) == len(last.levels):
        try:
            trunk = _extracted(spec, last, [last.picture], stems)
            branches = _extracted(spec, last, stems, list(maps.values()))
        except HeadstartError:  # a branch reads more than its stem
            pass
        else:
            names = [f"stem{number}" for number in range(len(stems))]
            return [
                Part(_PART[0], trainable.converted(spec, trunk), names, level),
                Part(_PART[1], trainable.converted(spec, branches), list(maps)),
            ]
    trunk = _extracted(spec, last, [last.picture], list(maps.values()))
    return [Part(_PART[0], trainable.converted(spec, trunk), list(maps), level)]


def _levels(last: LastLayers, pretrained: bool, maps: Mapping[str, Tensor]) -> tuple[Level, ...]:
    """The scales, with the tensors of the last layers where boxes are read as ours are."""
    names = {tensor: name for name, tensor in last.maps().items()}
    arrays = {each.name: each for each in last.model.graph.initializer}
    keeps, levels = pretrained and last.family, []
    for stride, each in zip(last.strides, last.levels, strict=True):
        layers = {role: _layer(each[role].input[1:], arrays) for role in ROLES} if keeps else {}
        reads = {role: names[each[role].input[0]] for role in ROLES}
        channels = {role: maps[name].shape[1] for role, name in reads.items()}
        levels.append(Level(stride, reads, channels, layers))
    return tuple(levels)


def _layer(names: Iterable[str], arrays: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    """Weight (O, C, 1, 1) and bias (O,) of a convolution."""
    to_array = import_module("onnx.numpy_helper").to_array
    weight, *bias = (np.array(to_array(arrays[name]), dtype=np.float32) for name in names)
    biases = chain(bias, [np.zeros(len(weight), np.float32)])
    return torch.from_numpy(weight), torch.from_numpy(next(biases))
