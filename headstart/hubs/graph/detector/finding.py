"""Which layers of an ONNX file are a detector's last: by what they answer, on which scale."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final, final

from headstart.hubs.graph.planning import GraphSpec

ROLES: Final = ("cls", "reg", "obj")
_BOX: Final = 4


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
            for role in ROLES:
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
        _let_any_number_in(model.graph)
        return _last_layers(model)
    except Exception:  # others say what is wrong with it, and its readers raise nearly anything
        return None


def _let_any_number_in(graph: Any) -> None:
    """Shapes that were written down for one picture hold for any number, where that is first.

    Whoever runs it compares two pictures with each alone.
    """
    helper = import_module("onnx.numpy_helper")
    constants = {
        node.output[0]: each.t
        for node in graph.node
        if node.op_type == "Constant"
        for each in node.attribute
        if each.name == "value"
    } | {each.name: each for each in graph.initializer}
    for node in graph.node:
        if node.op_type != "Reshape" or node.input[1] not in constants:
            continue
        tensor = constants[node.input[1]]
        shape = helper.to_array(tensor).copy()
        if shape.size > 1 and (shape > 0).all():
            shape[0] = -1
            tensor.CopyFrom(helper.from_array(shape, tensor.name))


def _last_layers(model: Any) -> LastLayers | None:
    graph = model.graph
    weights = {each.name: list(each.dims) for each in graph.initializer}
    producers = {name: node for node in graph.node for name in node.output}
    pictures = [each for each in graph.input if each.name not in weights]
    if len(pictures) != 1:
        return None
    sides = _sides(pictures[0])
    last = [producers[name] for name in _ends(graph, producers)]
    if (
        not last
        or len(sides) != 4
        or any(weights.get(node.input[1], [0, 0, 0, 0])[2:] != [1, 1] for node in last)
    ):
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
    waiting, visited, ends = [each.name for each in graph.output], set(), []
    while waiting:
        name = waiting.pop()
        node = producers.get(name)
        if node is None or name in visited:
            continue
        visited.add(name)
        if node.op_type == "Conv":
            ends.append(name)
        else:
            waiting.extend(node.input)
    return ends


def _sides(value: Any) -> list[int]:
    return [int(each.dim_value) for each in value.type.tensor_type.shape.dim]


def _roles(nodes: Sequence[Any], weights: Mapping[str, list[int]]) -> dict[str, Any] | None:
    """Which of a level's three convolutions says what: by its name, else by its channels."""
    if len(nodes) != len(ROLES):
        return None
    channels = {node.output[0]: weights[node.input[1]][0] for node in nodes}
    nodes_by_role = {
        role: node for node in nodes for role in ROLES if role in node.input[1].lower()
    }
    if len(nodes_by_role) != len(ROLES):
        ordered = sorted(nodes, key=lambda node: channels[node.output[0]])
        nodes_by_role = dict(zip(("obj", "reg", "cls"), ordered, strict=True))
    right = (
        channels[nodes_by_role["reg"].output[0]] == _BOX
        and channels[nodes_by_role["obj"].output[0]] == 1
    )
    return nodes_by_role if right else None


def _stem(graph: Any, producers: Mapping[str, Any], level: Mapping[str, Any]) -> str:
    """The last tensor that all three of a level's layers depend on; empty for none."""
    order = {name: place for place, node in enumerate(graph.node) for name in node.output}
    above = [_above(level[role].input[0], producers) for role in ROLES]
    common = set.intersection(*above)
    return max(common, key=lambda name: order[name], default="")


def _above(name: str, producers: Mapping[str, Any]) -> set[str]:
    waiting, visited = [name], set()
    while waiting:
        each = waiting.pop()
        if each in producers and each not in visited:
            visited.add(each)
            waiting.extend(producers[each].input)
    return visited
