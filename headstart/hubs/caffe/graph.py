"""The layers that lead from the pictures to the last classifier, in the phase of testing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

from headstart.errors import HeadstartError
from headstart.loading.layer_graph import free_name, reserved

STORED: Final = frozenset({"Data", "ImageData", "WindowData", "HDF5Data", "AnnotatedData"})
FED: Final = STORED | {"Input", "MemoryData", "DummyData"}
_ASIDE: Final = frozenset({"Accuracy", "ArgMax", "HDF5Output", "Silence"})  # and losses
_AFTER_LINEAR: Final = frozenset({"Dropout", "Flatten", "Reshape", "Sigmoid", "Softmax"})
_AFTER_CONVOLUTION: Final = _AFTER_LINEAR | {"Pooling", "ReLU"}
_TEST: Final = 1


@final
@dataclass(frozen=True, eq=False)
class Blob:
    """What a layer computes, or the network is fed by the layer or field that is its `source`."""

    name: str
    source: Any = None
    fed: bool = False


@final
@dataclass(frozen=True, eq=False)
class Node:
    """A layer, its inputs and outputs, and what its module is called."""

    name: str
    layer: Any
    bottoms: Sequence[Blob]
    tops: Sequence[Blob]


@final
@dataclass(frozen=True)
class Selection:
    """The layers up to the features, the pictures that they begin with, and the head if any."""

    nodes: Sequence[Node]
    pictures: Blob
    features: Blob
    head: Node | None


def select(net: Any, layers: Sequence[Any], head: bool, what: str) -> Selection:
    """Find the head, unless `head` is False, and the layers that its input depends on.

    Raises HeadstartError where the pictures are not the only input.
    """
    nodes = _connected(net, layers)
    last = _head(nodes)
    plain = (n for n in reversed(nodes) if n.tops and not _aside(n) and n.layer.type != "Softmax")
    ending = last or next(plain, None)
    if ending is None:
        raise HeadstartError(f"{what} computes nothing but losses. Give another file.")
    features = last.bottoms[0] if last and head else ending.tops[0]
    needed = _ancestors(nodes, features)
    outputs = {blob for node in needed for blob in node.tops}
    inputs = dict.fromkeys([blob for node in needed for blob in node.bottoms] or [features])
    fed = [blob for blob in inputs if blob not in outputs]
    for blob in fed:
        if not blob.fed:
            raise HeadstartError(
                f"{what} has a layer that reads {blob.name!r}, which no layer before it computes. "
                "Mend it."
            )
    if len(fed) != 1:
        names = ", ".join(repr(blob.name) for blob in fed) or "nothing"
        raise HeadstartError(
            f"{what} computes its features from {names}, not from pictures alone. "
            "Give a network with one input."
        )
    return Selection(needed, fed[0], features, last if head else None)


def data_layers(layers: Sequence[Any]) -> list[Any]:
    """The layers that feed a network from a store, those of testing first."""
    layers_of_data = [layer for layer in layers if layer.type in STORED]
    return sorted(layers_of_data, key=lambda layer: not _in_test(layer))


def _connected(net: Any, layers: Sequence[Any]) -> list[Node]:
    """Every layer of testing, reading what was computed before it; losses included."""
    current = {name: Blob(name, net, fed=True) for name in net.input}
    others = [n for n in layers if n.type in FED and n.type not in STORED and _in_test(n)]
    for layer in [*reversed(data_layers(layers)), *others]:
        current |= {top: Blob(top, layer, fed=True) for top in layer.top}
    nodes, names = [], set(reserved())
    for layer in layers:
        if layer.type in FED or not _in_test(layer):
            continue
        bottoms = [current.get(name) or Blob(name) for name in layer.bottom]
        if layer.type == "Split" and bottoms:
            current |= dict.fromkeys(layer.top, bottoms[0])
            continue
        tops = [Blob(name) for name in layer.top]
        current |= {blob.name: blob for blob in tops}
        name = re.sub(r"[^0-9A-Za-z_/+-]", "_", layer.name) or "layer"
        nodes.append(Node(free_name(name, names), layer, bottoms, tops))
    return nodes


def _in_test(layer: Any) -> bool:
    """Whether a layer is there in the phase of testing, at level 0 and in no stage."""
    if layer.include:
        return any(map(_holds, layer.include))
    return not any(map(_holds, layer.exclude))


def _holds(rule: Any) -> bool:
    phase = not rule.HasField("phase") or rule.phase == _TEST
    low = not rule.HasField("min_level") or rule.min_level <= 0
    high = not rule.HasField("max_level") or rule.max_level >= 0
    return phase and low and high and not rule.stage


def _aside(node: Node) -> bool:
    return node.layer.type in _ASIDE or node.layer.type.endswith(("Loss", "WithLoss"))


def _head(nodes: Sequence[Node]) -> Node | None:
    """The last layer with a matrix, where nothing but what a classifier needs comes after it."""
    matrices = [n for n in nodes if n.layer.type in ("InnerProduct", "Convolution")]
    if not matrices or not matrices[-1].bottoms or not matrices[-1].tops:
        return None
    last = matrices[-1]
    after = list(_descendants(nodes, last))
    kinds = {node.layer.type for node in after if not _aside(node)}
    if last.layer.type == "InnerProduct":
        return last if kinds <= _AFTER_LINEAR else None
    classifies = any(_aside(node) or node.layer.type == "Softmax" for node in after)
    return last if classifies and kinds <= _AFTER_CONVOLUTION else None


def _descendants(nodes: Sequence[Node], first: Node) -> Iterator[Node]:
    reached = set(first.tops)
    for node in nodes:
        if node is not first and not reached.isdisjoint(node.bottoms):
            reached.update(node.tops)
            yield node


def _ancestors(nodes: Sequence[Node], blob: Blob) -> list[Node]:
    needed, ancestors = {blob}, []
    for node in reversed(nodes):
        if not needed.isdisjoint(node.tops):
            needed.update(node.bottoms)
            ancestors.append(node)
    return ancestors[::-1]
