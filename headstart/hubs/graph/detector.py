"""A detector in an ONNX file: its trunk, the branches of its head, and its last layers.

Its answers come from 1x1 convolutions on maps of one or several scales: one of 4 channels for
boxes, one of 1 for whether there is an object, and one with a channel a class (YOLOX, Ge et al.
2021). What they read are the features. Pictures are fed in their own shape on grey, blue first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
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
from headstart.hubs.graph.planning import GraphSpec
from headstart.loading import head_removal

_ROLES: Final = ("cls", "reg", "obj")
_BOX: Final = 4
_WHOLE: Final = 255.0  # levels of a picture, as YOLOX is fed
_PART: Final = "trunk", "branches"


@final
@dataclass(frozen=True)
class LastLayers:
    """A detector's last layers: `levels` from fine to coarse, each a convolution by its role.

    `stems` are the tensors, one a level, that its branches begin at; none where they can't be told.
    """

    model: Any
    picture: str
    sides: tuple[int, int]
    levels: list[dict[str, Any]]
    strides: list[int]
    stems: list[str]

    @property
    def family(self) -> bool:
        """Whether boxes are read as in YOLOX: several scales, boxes and objects from one map."""
        return len(self.levels) > 1 and all(
            each["reg"].input[0] == each["obj"].input[0] for each in self.levels
        )

    def maps(self) -> dict[str, str]:
        """What each map is called here, and its tensor; those that are the same come once."""
        tensors: dict[str, str] = {}
        for number, each in enumerate(self.levels):
            for role in _ROLES:
                if each[role].input[0] not in tensors.values():
                    tensors[f"{role}{number}"] = each[role].input[0]
        return tensors


def find(spec: GraphSpec) -> LastLayers | None:
    """The detector in a file; None where it is none, or can't be read."""
    if spec.kind != "onnx" or spec.options.output:
        return None
    try:
        onnx = import_module("onnx")
        model = import_module("onnx.shape_inference").infer_shapes(onnx.load(str(spec.path)))
        return _last_layers(model)
    except Exception:  # others say what is wrong with it, and its readers raise nearly anything
        return None


def _last_layers(model: Any) -> LastLayers | None:
    graph = model.graph
    weights = {each.name: list(each.dims) for each in graph.initializer}
    producers = {name: node for node in graph.node for name in node.output}
    pictures = [each for each in graph.input if each.name not in weights]
    if len(pictures) != 1:
        return None
    sides = _sides(pictures[0])
    last = [producers[name] for name in _ends(graph, producers)]
    if not last or len(sides) != 4 or any(_kernel(node, weights) != [1, 1] for node in last):
        return None
    shapes = {each.name: _sides(each) for each in (*graph.value_info, *graph.output)}
    by_size: defaultdict[int, list[Any]] = defaultdict(list)
    for node in last:
        by_size[shapes.get(node.output[0], [0, 0, 0, 0])[-1]].append(node)
    levels = [_roles(nodes, weights) for _, nodes in sorted(by_size.items(), reverse=True)]
    if 0 in by_size or None in levels:
        return None
    strides = [sides[3] // size for size in sorted(by_size, reverse=True)]
    whole = [each for each in levels if each is not None]
    stems = [_stem(graph, producers, each) for each in whole]
    return LastLayers(model, pictures[0].name, (sides[2], sides[3]), whole, strides, stems)


def _ends(graph: Any, producers: Mapping[str, Any]) -> list[str]:
    """The convolutions from which answers are made without another one, by what they answer."""
    waiting, seen, ends = [each.name for each in graph.output], set(), []
    while waiting:
        name = waiting.pop()
        node = producers.get(name)
        if node is None or name in seen:
            continue
        seen.add(name)
        if node.op_type == "Conv":
            ends.append(name)
        else:
            waiting.extend(node.input)
    return ends


def _sides(value: Any) -> list[int]:
    return [int(each.dim_value) for each in value.type.tensor_type.shape.dim]


def _kernel(node: Any, weights: Mapping[str, list[int]]) -> list[int]:
    return weights.get(node.input[1], [0, 0, 0, 0])[2:]


def _roles(nodes: Sequence[Any], weights: Mapping[str, list[int]]) -> dict[str, Any] | None:
    """Which of a level's three convolutions says what: by its name, else by its channels."""
    if len(nodes) != len(_ROLES):
        return None
    channels = {node.output[0]: weights[node.input[1]][0] for node in nodes}
    named = {role: node for node in nodes for role in _ROLES if role in node.input[1].lower()}
    if len(named) != len(_ROLES):
        ordered = sorted(nodes, key=lambda node: channels[node.output[0]])
        named = dict(zip(("obj", "reg", "cls"), ordered, strict=True))
    right = channels[named["reg"].output[0]] == _BOX and channels[named["obj"].output[0]] == 1
    return named if right else None


def _stem(graph: Any, producers: Mapping[str, Any], level: Mapping[str, Any]) -> str:
    """The last tensor that all three of a level's layers depend on; empty for none."""
    order = {name: place for place, node in enumerate(graph.node) for name in node.output}
    above = [_above(level[role].input[0], producers) for role in _ROLES]
    common = set.intersection(*above)
    return max(common, key=lambda name: order[name], default="")


def _above(name: str, producers: Mapping[str, Any]) -> set[str]:
    waiting, seen = [name], set()
    while waiting:
        each = waiting.pop()
        if each in producers and each not in seen:
            seen.add(each)
            waiting.extend(producers[each].input)
    return seen


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

    def forward(self, inputs: Any) -> dict[str, Tensor]:
        """Pictures (N, 3, H, W), red first, or maps (N, C, h, w) by name -> maps by name."""
        network = self.get_submodule(self.part)
        values = [inputs.flip(1) * self.level] if self.level else [*inputs.values()]
        maps = network(*values)
        several = maps if isinstance(maps, list | tuple) else [maps]
        return dict(zip(self.answers, several, strict=True))


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
    example = head_removal.example(preprocess, torch.rand)[:1]
    with torch.no_grad():
        maps = nn.Sequential(*parts).eval()(example)
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


def _whole(spec: GraphSpec, last: LastLayers) -> bytes:
    """The file up to its last layers, with them."""
    if spec.saved:
        return spec.path.read_bytes()
    outputs = [each[role].output[0] for each in last.levels for role in _ROLES]
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
        layers = {role: _layer(each[role].input[1:], arrays) for role in _ROLES} if keeps else {}
        reads = {role: names[each[role].input[0]] for role in _ROLES}
        channels = {role: maps[name].shape[1] for role, name in reads.items()}
        levels.append(Level(stride, reads, channels, layers))
    return tuple(levels)


def _layer(names: Iterable[str], arrays: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    """Weight (O, C, 1, 1) and bias (O,) of a convolution."""
    read = import_module("onnx.numpy_helper").to_array
    weight, *bias = (np.array(read(arrays[name]), dtype=np.float32) for name in names)
    biases = chain(bias, [np.zeros(len(weight), np.float32)])
    return torch.from_numpy(weight), torch.from_numpy(next(biases))
