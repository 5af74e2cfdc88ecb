"""Tracing a network into a graph whose nodes are whole blocks, the same in both modes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from inspect import Parameter, signature
from typing import Any

import torch
from torch import fx, nn

_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


class _Tracer(fx.Tracer):
    """Looks inside the modules named in `opened` and takes all others whole."""

    def __init__(self, opened: frozenset[str]) -> None:
        super().__init__()
        self.opened = opened

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return module_qualified_name not in self.opened

    def create_args_for_root(
        self, root_fn: Any, is_module: bool, concrete_args: Any = None
    ) -> tuple[Any, list[Any]]:
        """Only the batch is open; all other arguments of the network take their defaults."""
        function, args = super().create_args_for_root(root_fn, is_module, concrete_args)
        defaults = [parameter.default for parameter in signature(root_fn).parameters.values()]
        for number, default in enumerate(defaults[: len(args)]):
            if number > 1 and default is not Parameter.empty:
                args[number] = default
        return function, args


def trace(network: nn.Module, deep: bool = True) -> tuple[fx.Graph, frozenset[str]] | None:
    """Trace a network, or answer None where it can't be; with the names of what was opened.

    Where `deep`, the containers of blocks that make up a segment alone are opened one after
    another, if that is possible and gives cuts.
    """
    opened: frozenset[str] = frozenset()
    refused: set[str] = set()
    graph = graph_of(network, opened)
    while deep and graph is not None:
        alone = [name for name in _alone(network, graph) if name not in opened | refused]
        if not alone:
            break
        for names in [alone] if len(alone) == 1 else [alone, *([name] for name in alone)]:
            deeper = graph_of(network, opened.union(names))
            whole = [name for name in names if deeper is None or not _cuts(deeper, name)]
            if not whole:
                graph, opened = deeper, opened.union(names)
                break
            if deeper is not None or len(names) == 1:  # cuts in one are no matter of the others
                refused.update(whole)
                break
    return None if graph is None else (graph, opened)


def _cuts(graph: fx.Graph, name: str) -> bool:
    """Whether the opened module `name` can be cut inside, or at least still at its end."""
    inside = f"{name}."
    ends = [str(segment[-1].target) for segment in split(graph)]
    calls = [str(node.target) for node in graph.nodes if node.op == "call_module"]
    mine = [target for target in calls if target.startswith(inside)]
    return sum(end.startswith(inside) for end in ends) >= 2 or (bool(mine) and mine[-1] in ends)


def _alone(network: nn.Module, graph: fx.Graph) -> list[str]:
    names = []
    for nodes in split(graph):
        calls = [node for node in nodes if node.op != "get_attr"]
        if len(calls) == 1 and calls[0].op == "call_module":
            name = str(calls[0].target)
            if _holds_blocks(network.get_submodule(name)):
                names.append(name)
    return names


def _holds_blocks(module: nn.Module) -> bool:
    """Whether a module merely contains blocks: in a list, or as children all of one kind."""
    children = list(module.children())
    if isinstance(module, nn.Sequential):
        return True
    if len({type(child) for child in children}) == 1 and all(map(_composite, children)):
        return True
    return any(
        isinstance(child, _CONTAINERS) and any(map(_composite, child.children()))
        for child in children
    )


def _composite(module: nn.Module) -> bool:
    return next(module.children(), None) is not None


def graph_of(network: nn.Module, opened: Iterable[str]) -> fx.Graph | None:
    """One graph that holds in both modes, or None where there is none.

    What is inside the modules of the names `opened` is traced, all others are taken whole.
    """
    graphs, names = [], frozenset(opened)
    for training in (True, False):
        with in_mode(network, training), _untouched(network):
            try:
                graph = _Tracer(names).trace(network)
            except Exception:  # whatever a network's Python does with a stand-in for a tensor
                return None
        graphs.append(graph)
    if not (_tidy(graphs[0]) and _tidy(graphs[1]) and _join_modes(*graphs)):
        return None
    return graphs[1]


def _tidy(graph: fx.Graph) -> bool:
    """Drop checks and dead code; False where constants were baked in or inputs are left open."""
    for node in reversed(graph.nodes):
        if node.target is torch._assert or (node.op == "get_attr" and not node.users):
            graph.erase_node(node)
    changed = True
    while changed:
        dead = [node for node in reversed(graph.nodes) if not node.users and _pure(node)]
        for node in dead:
            graph.erase_node(node)
        changed = bool(dead)
    inputs = [node for node in graph.nodes if node.op == "placeholder"]
    for node in inputs[1:]:
        if node.users:
            return False
        graph.erase_node(node)
    return not any(
        node.op == "get_attr" and str(node.target).startswith("_tensor_constant")
        for node in graph.nodes
    )


def _pure(node: fx.Node) -> bool:
    if node.op == "call_method":
        return not str(node.target).endswith("_")
    return node.op in ("get_attr", "call_function")


def _join_modes(train: fx.Graph, evaluation: fx.Graph) -> bool:
    """Turn arguments that differ by the mode into the mode itself; False where more differs."""
    if len(train.nodes) != len(evaluation.nodes):
        return False
    pairs: dict[fx.Node, fx.Node] = {}
    for node, twin in zip(train.nodes, evaluation.nodes, strict=True):
        if (node.op, node.target) != (twin.op, twin.target):
            return False
        pairs[node] = twin
        mine, other = _leaves(node, pairs), _leaves(twin, {})
        if len(mine) != len(other):
            return False
        differing = [(a, b) for a, b in zip(mine, other, strict=True) if a is not b and a != b]
        if any(pair != (True, False) for pair in differing):
            return False
        if differing and not _follow_mode(evaluation, twin, node):
            return False
    return True


def _follow_mode(graph: fx.Graph, node: fx.Node, train: fx.Node) -> bool:
    """Let `node` read the mode from the stage, where its arguments are flat."""
    with graph.inserting_before(node):
        mode = graph.get_attr("training")
    node.args = tuple(
        mode if a is True and b is False else b for a, b in zip(train.args, node.args, strict=True)
    )
    node.kwargs = {
        key: mode if train.kwargs[key] is True and value is False else value
        for key, value in node.kwargs.items()
    }
    return mode in node.all_input_nodes


def _leaves(node: fx.Node, pairs: Mapping[fx.Node, fx.Node]) -> list[Any]:
    leaves: list[Any] = []

    def visit(value: Any) -> Any:
        leaves.append(pairs.get(value, value) if isinstance(value, fx.Node) else value)
        return value

    fx.node.map_aggregate((node.args, node.kwargs), visit)
    return leaves


def split(graph: fx.Graph) -> list[list[fx.Node]]:
    """Cut after each module whose output alone crosses; input and output are left out."""
    alone = crossing_alone(graph)
    segments: list[list[fx.Node]] = [[]]
    for node in graph.nodes:
        if node.op in ("placeholder", "output"):
            continue
        segments[-1].append(node)
        if node.op == "call_module" and node in alone:
            segments.append([])
    return [segment for segment in segments if segment]


def crossing_alone(graph: fx.Graph) -> set[fx.Node]:
    """The nodes whose output is all that the nodes behind them read."""
    nodes = list(graph.nodes)
    place = {node: number for number, node in enumerate(nodes)}
    crossing = [0] * len(nodes)
    for node in nodes:
        last = max((place[user] for user in node.users), default=place[node])
        for number in range(place[node], last):
            crossing[number] += 1
    return {node for node in nodes if node.users and crossing[place[node]] == 1}


@contextmanager
def in_mode(network: nn.Module, training: bool) -> Iterator[None]:
    """Put all modules into one mode, and back into their own."""
    modes = [(module, module.training) for module in network.modules()]
    if any(mode is not training for _, mode in modes):
        network.train(training)
    try:
        yield
    finally:
        for module, mode in modes:
            if module.training is not mode:  # to set it costs far more than to look at it
                module.training = mode


def in_mode_of(network: nn.Module, parts: Iterable[nn.Module]) -> None:
    """Put what was made around a network's own modules into its mode."""
    own = set(network.modules())
    for part in parts:
        for module in part.modules():
            if module not in own:
                module.training = network.training


@contextmanager
def _untouched(network: nn.Module) -> Iterator[None]:
    """Undo what tracing leaves in the modules' attributes."""
    before = [(module, dict(module.__dict__)) for module in network.modules()]
    try:
        yield
    finally:
        for module, attributes in before:
            module.__dict__.clear()
            module.__dict__.update(attributes)
