"""The pooling behind the last stage, split off it where it can be told from what it pools."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, final

import torch
from torch import Tensor, fx, nn

from headstart.loading.stages import stage_of
from headstart.loading.stages.tracing import crossing_alone, in_mode, in_mode_of

Parts = tuple[nn.Module, nn.Module]  # what gives maps or tokens, and the pooling behind it


def split_pool(
    stages: Mapping[str, nn.Module], example: Tensor
) -> tuple[dict[str, nn.Module], nn.Module]:
    """The same stages, the last of which gives maps or tokens, and the pooling behind them.

    `example` is a batch of inputs (N, …). The pooling is what follows the last value of more
    numbers than the features, and holds no matrix. Where there is none in the last stage the
    stages stay as they are, and the pooling is `nn.Identity`. Run one after another, both compute
    what the stages did, from the same tensors under the same names.
    """
    return split_at(stages, pooling_of(stages, example))


def pooling_of(stages: Mapping[str, nn.Module], example: Tensor) -> int:
    """Before which node, or child, of the last stage the pooling begins; 0 where there is none."""
    *front, last = stages.values()
    with in_mode(nn.ModuleList(stages.values()), training=False), torch.no_grad():
        activation: Any = example.clone()
        for stage in front:
            activation = stage(activation)
        place = _place(last, activation)
        return place if place and _fit(_apart(last, place), last) else 0


def split_at(stages: Mapping[str, nn.Module], place: int) -> tuple[dict[str, nn.Module], nn.Module]:
    """The stages, and the pooling that begins in the last one there; 0 is for none."""
    if not place:
        return dict(stages), nn.Identity()
    *front, (name, last) = stages.items()
    parts = _apart(last, place)
    in_mode_of(last, parts)
    return {**dict(front), name: parts[0]}, parts[1]


def _place(last: nn.Module, inputs: Any) -> int:
    if isinstance(last, fx.GraphModule):
        return _place_in_graph(last, inputs)
    children = list(last.children()) if type(last) is nn.Sequential else []
    if len(children) < 2:
        return 0
    values = nn.Sequential(*children[:-1])(inputs)
    return len(children) - 1 if _is_larger(values, children[-1](values)) else 0


def _place_in_graph(last: fx.GraphModule, inputs: Any) -> int:
    nodes, _ = _nodes(last)
    alone, values = crossing_alone(last.graph), _Values(last)
    features = values.run(inputs)
    for number in range(len(nodes) - 1, 0, -1):
        before = nodes[number - 1]
        if before in alone and _is_larger(values.answers.get(before), features):
            return number
    return 0


def _apart(last: nn.Module, place: int) -> Parts:
    if isinstance(last, fx.GraphModule):
        nodes, unread = _nodes(last)
        return stage_of(last, nodes[:place], unread), stage_of(last, nodes[place:])
    children = list(last.named_children())
    maps, pool = (OrderedDict(part) for part in (children[:place], children[place:]))
    return nn.Sequential(maps), nn.Sequential(pool)


def _nodes(last: fx.GraphModule) -> tuple[list[fx.Node], list[str]]:
    """What a graph computes, in order, and the names of tensors that it holds unread."""
    nodes = [node for node in last.graph.nodes if node.op not in ("placeholder", "output")]
    unread = [node for node in nodes if node.op == "get_attr" and not node.users]
    return [node for node in nodes if node not in unread], [str(node.target) for node in unread]


def _is_larger(values: Any, features: Any) -> bool:
    """Whether values are a map or tokens, of more than one place, of which features are made."""
    return (
        isinstance(values, Tensor)
        and isinstance(features, Tensor)
        and values.is_floating_point()
        and values.dim() > 2 == features.dim()
        and len(values) == len(features)
        and values.numel() > features.numel()
    )


def _fit(parts: Parts, last: nn.Module) -> bool:
    """Whether each tensor is in one of the parts, and no matrix in the pooling."""
    names = [name for part in parts for name in part.state_dict()]
    matrices = any(parameter.dim() > 1 for parameter in parts[1].parameters())
    return sorted(names) == sorted(last.state_dict()) and not matrices


@final
class _Values(fx.Interpreter):
    """Runs a graph and keeps what each node answers."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module, garbage_collect_values=False)
        self.answers: dict[fx.Node, Any] = {}

    def run_node(self, n: fx.Node) -> Any:
        """One node's answer."""
        self.answers[n] = super().run_node(n)
        return self.answers[n]
