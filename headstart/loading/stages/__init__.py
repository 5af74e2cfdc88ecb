"""Stages are found, not written by hand: a network is cut wherever a single tensor crosses.

The network is traced with torch.fx, first its direct children, then what lies inside those that
merely contain blocks; blocks themselves and native modules stay whole, so that dropout and
BatchNorm behave as in the original in both modes.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, final

import torch
from torch import Tensor, fx, nn

from headstart.errors import HeadstartError
from headstart.loading.stages.tracing import graph_of, in_mode, in_mode_of, split, trace

_SHRINKS = 4  # a cut is not worth keeping where the next one is this much smaller
WHOLE = "network"


def find_stages(
    network: nn.Module, example: Tensor, usual: Mapping[str, nn.Module] | None = None
) -> dict[str, nn.Module]:
    """Cut a network into stages, input side first, named by the module each starts with.

    `network` maps a batch like `example` (N, …) to pooled features (N, D). The stages are made of
    its own submodules; their `state_dict` keys are the network's, each in exactly one stage. Where
    the network can't be traced, or its trace misleads, they are the `usual` ones, or else one stage
    "network". Raises HeadstartError when usual stages don't equal the network exactly on the
    example, in eval mode; others always do.
    """
    cut = cut_of(network, example)
    if cut is not None:
        return cut[1]
    stages = dict(usual or {WHOLE: network})
    if usual:
        check_stages(network, usual, example)
    in_mode_of(network, stages.values())
    return stages


def check_stages(network: nn.Module, stages: Mapping[str, nn.Module], example: Tensor) -> None:
    """Raise HeadstartError unless stages and network hold the same tensors and compute the same.

    Compared exactly, in eval mode, on the example batch.
    """
    names = [name for stage in stages.values() for name in stage.state_dict()]
    if sorted(names) != sorted(network.state_dict()):
        wrong = sorted(set(names) ^ set(network.state_dict())) or ["one of them twice"]
        raise HeadstartError(
            f"The stages of {type(network).__name__} don't hold its tensors: "
            f"{', '.join(wrong[:3])}. Report it, or name the stages in the hub."
        )
    with in_mode(network, training=False), torch.no_grad():
        expected = network(example.clone())
        result = nn.Sequential(*stages.values())(example)
    if not _same(expected, result):
        raise HeadstartError(
            f"The stages of {type(network).__name__} compute something else than the whole. "
            "Report it, or name the stages in the hub."
        )


@final
@dataclass(frozen=True)
class Cut:
    """Where a network is cut: what its trace looks into, and how many nodes each stage has.

    `nodes` are those of the trace, in order, and `unread` by stage the names of tensors that the
    network holds and no node reads.
    """

    opened: tuple[str, ...]
    nodes: tuple[str, ...]
    sizes: tuple[int, ...]
    unread: tuple[tuple[str, ...], ...]


def cut_of(network: nn.Module, example: Tensor) -> tuple[Cut, dict[str, nn.Module]] | None:
    """The deepest cut that holds on the example (N, …), in eval mode, and its stages."""
    for deep in (True, False):
        with in_mode(network, training=False), torch.no_grad():
            traced = trace(network, deep)
            if traced is None:
                return None
            graph, opened = traced
            try:
                cut = _cut(network, graph, opened, example)
                stages = stages_at(network, cut, graph) or {}
                check_stages(network, stages, example)
            except Exception:  # a trace may have taken a way that real tensors don't
                continue
        in_mode_of(network, stages.values())
        return cut, stages
    return None


def stages_at(
    network: nn.Module, cut: Cut, graph: fx.Graph | None = None
) -> dict[str, nn.Module] | None:
    """The stages between these cuts; None where the network's trace isn't the one that was cut."""
    graph = graph or graph_of(network, cut.opened)
    nodes = [node for nodes in split(graph) for node in nodes] if graph else []
    if tuple(map(_called, nodes)) != cut.nodes:
        return None
    stages, start = {}, 0
    for size, unread in zip(cut.sizes, cut.unread, strict=True):
        own = nodes[start : start + size]
        stages[_name(network, own)] = stage_of(network, own, unread)
        start += size
    in_mode_of(network, stages.values())
    return stages


def _called(node: fx.Node) -> str:
    return f"{node.op} {node.name} {node.args} {node.kwargs}"


@dataclass
class _Segment:
    """Consecutive nodes of the graph, and what running them on the example showed."""

    nodes: list[fx.Node]
    tensors: set[int]
    weighs: bool  # has a module with a matrix or a kernel, not only norms, activations, pools
    fits: bool = True  # ends in a batch of floating-point activations
    writes: bool = False  # changes its input in place
    size: int = 0  # numbers per item at its end

    def __add__(self, after: _Segment) -> _Segment:
        return _Segment(
            self.nodes + after.nodes,
            self.tensors | after.tensors,
            self.weighs or after.weighs,
            after.fits,
            self.writes,
            after.size,
        )


def _cut(network: nn.Module, graph: fx.Graph, opened: frozenset[str], example: Tensor) -> Cut:
    segments = [_segment(network, nodes) for nodes in split(graph)]
    activation: Any = example.clone()
    values = fx.Interpreter(network, garbage_collect_values=False, graph=graph)
    values.env = {next(iter(graph.nodes)): activation}
    for segment in segments:
        before = activation.clone() if isinstance(activation, Tensor) else activation
        for node in segment.nodes:
            values.env[node] = values.run_node(node)
        result = values.env[segment.nodes[-1]]
        values.env = {segment.nodes[-1]: result}
        segment.writes = not _same(before, activation)
        segment.fits = (
            isinstance(result, Tensor)
            and result.is_floating_point()
            and result.shape[:1] == example.shape[:1]
        )
        segment.size = result[0].numel() if segment.fits else 0
        activation = result
    segments = _join_small(_join_sharing(_join_light(segments)))
    return Cut(
        tuple(sorted(opened)),
        tuple(_called(node) for segment in segments for node in segment.nodes),
        tuple(len(segment.nodes) for segment in segments),
        tuple(map(tuple, _unused(network, segments))),
    )


def _unused(network: nn.Module, segments: list[_Segment]) -> list[list[str]]:
    """By stage: names of tensors nothing reads, or that are read by another name."""
    used = {
        str(node.target)
        for segment in segments
        for node in segment.nodes
        if node.op in ("call_module", "get_attr")
    }
    names: list[list[str]] = [[] for _ in segments]
    for name, tensor in network.state_dict(keep_vars=True).items():
        if used.isdisjoint(accumulate(name.split("."), "{}.{}".format)):
            homes = [place for place, s in enumerate(segments) if id(tensor) in s.tensors]
            names[homes[0] if homes else -1].append(name)
    return names


def _segment(network: nn.Module, nodes: list[fx.Node]) -> _Segment:
    tensors = {id(tensor) for tensor in _tensors(network, nodes)}
    return _Segment(nodes, tensors, any(_has_matrix(network, node) for node in nodes))


def _join_light(segments: list[_Segment]) -> list[_Segment]:
    """Join norms, activations and pools to what they follow, and cuts that can't be used."""
    joined = segments[:1]
    for segment in segments[1:]:
        before = joined[-1]
        if before.weighs and before.fits and segment.weighs and not segment.writes:
            joined.append(segment)
        else:
            joined[-1] = before + segment
    return joined


def _join_sharing(segments: list[_Segment]) -> list[_Segment]:
    """Join all from the first to the last that use one parameter or buffer."""
    last = {tensor: number for number, s in enumerate(segments) for tensor in s.tensors}
    joined: list[_Segment] = []
    end = -1
    for number, segment in enumerate(segments):
        if number <= end:
            joined[-1] = joined[-1] + segment
        else:
            joined.append(segment)
        end = max([end, *(last[tensor] for tensor in segment.tensors)])
    return joined


def _join_small(segments: list[_Segment]) -> list[_Segment]:
    """Drop a cut where the next one is much cheaper to store; the network's end is no cut."""
    joined = segments[:1]
    for number, segment in enumerate(segments[1:], start=2):
        if number < len(segments) and segment.size * _SHRINKS <= joined[-1].size:
            joined[-1] = joined[-1] + segment
        else:
            joined.append(segment)
    return joined


def stage_of(network: nn.Module, nodes: Sequence[fx.Node], unused: Sequence[str] = ()) -> nn.Module:
    """A module of these nodes over the network's own submodules, under their own names.

    `unused` names tensors that no computation needs but the network holds.
    """
    graph = fx.Graph()
    inputs = graph.placeholder("inputs")
    copies: dict[fx.Node, fx.Node] = {}
    for node in nodes:
        copies[node] = graph.node_copy(node, lambda old: copies.get(old, inputs))
    for name in unused:
        graph.get_attr(name)
    graph.output(copies[nodes[-1]])
    stage = fx.GraphModule(network, graph, class_name="Stage")
    _forget(stage, network)
    return stage


def _forget(stage: fx.GraphModule, network: nn.Module) -> None:
    """Keep buffers that the network doesn't save unsaved; older versions of torch.fx forget it.

    Modules that a node calls are the network's own.
    """
    for node in stage.graph.find_nodes(op="get_attr"):
        path, _, name = str(node.target).rpartition(".")
        here, there = stage.get_submodule(path), network.get_submodule(path)
        persistent = there._buffers.keys() - there._non_persistent_buffers_set
        if name in here._buffers and name not in persistent:
            here._non_persistent_buffers_set.add(name)


def _name(network: nn.Module, nodes: list[fx.Node]) -> str:
    heavy = [node for node in nodes if _has_matrix(network, node)]
    calls = [node for node in nodes if node.op == "call_module"]
    return str((heavy or calls or nodes)[0].target)


def _has_matrix(network: nn.Module, node: fx.Node) -> bool:
    if node.op != "call_module":
        return False
    parameters = network.get_submodule(str(node.target)).parameters()
    return any(parameter.dim() >= 2 for parameter in parameters)


def _tensors(network: nn.Module, nodes: list[fx.Node]) -> Iterator[Tensor]:
    """The parameters and persistent buffers in use; tables that are not saved may be shared."""
    for node in nodes:
        if node.op in ("call_module", "get_attr"):
            path, _, _ = str(node.target).rpartition(".")
            value = operator.attrgetter(str(node.target))(network)
            if isinstance(value, nn.Module):
                yield from value.state_dict(keep_vars=True).values()
            elif isinstance(value, Tensor):
                tensors = network.get_submodule(path).state_dict(keep_vars=True).values()
                yield from (tensor for tensor in tensors if tensor is value)


def _same(one: Any, other: Any) -> bool:
    if not isinstance(one, Tensor) or not isinstance(other, Tensor):
        return one is other
    same = (one == other) | (one.isnan() & other.isnan()) if one.shape == other.shape else None
    return same is not None and bool(same.all())
