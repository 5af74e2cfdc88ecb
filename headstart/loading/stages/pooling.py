"""The pooling behind the last stage, split off it where it can be told from what it pools."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, final

import torch
from torch import Tensor, fx, nn

from headstart.loading.stages import stage_of
from headstart.loading.stages.tracing import crossing_alone, in_mode

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
    *front, (name, last) = stages.items()
    with in_mode(nn.ModuleList(stages.values()), training=False), torch.no_grad():
        activation = nn.Sequential(*(stage for _, stage in front))(example.clone())
        parts = _apart(last, activation)
        if parts is None or not _fit(parts, last):
            return dict(stages), nn.Identity()
    own = set(last.modules())  # the others stand around them
    for part in parts:
        for module in part.modules():
            if module not in own:
                module.training = last.training
    return {**dict(front), name: parts[0]}, parts[1]


def _apart(last: nn.Module, inputs: Any) -> Parts | None:
    if isinstance(last, fx.GraphModule):
        return _graph_apart(last, inputs)
    children = list(last.named_children()) if type(last) is nn.Sequential else []
    if len(children) < 2:
        return None
    maps = nn.Sequential(OrderedDict(children[:-1]))
    pool = nn.Sequential(OrderedDict(children[-1:]))
    values = maps(inputs)
    return (maps, pool) if _is_larger(values, pool(values)) else None


def _graph_apart(last: fx.GraphModule, inputs: Any) -> Parts | None:
    nodes = [node for node in last.graph.nodes if node.op not in ("placeholder", "output")]
    unread = [node for node in nodes if node.op == "get_attr" and not node.users]
    nodes = [node for node in nodes if node not in unread]
    alone, values = crossing_alone(last.graph), _Values(last)
    features = values.run(inputs)
    for number in range(len(nodes) - 1, 0, -1):
        before = nodes[number - 1]
        if before in alone and _is_larger(values.answers.get(before), features):
            tensors = [str(node.target) for node in unread]
            return stage_of(last, nodes[:number], tensors), stage_of(last, nodes[number:])
    return None


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
