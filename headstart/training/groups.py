"""The optimiser's groups: every parameter from the start, at its strategy's rate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from headstart.contracts import Strategy
from headstart.contracts.model import Model, with_pool
from headstart.defaults import Recipe


def groups(
    model: Model, strategy: Strategy, own: Sequence[nn.Parameter], recipe: Recipe
) -> list[dict[str, Any]]:
    """Every parameter in a fixed order, so that unfreezing never rebuilds a group.

    The pooling learns at the rate of the last stage.
    Matrices decay, vectors and the strategy's `own` parameters don't.
    """
    stages = len(model.stages)
    every = []
    last = nn.ModuleList(with_pool(model.stages[-1:], model.pool))
    for position, module in enumerate([*model.stages[:-1], last, model.head]):
        learning_rate = recipe.learning_rate * strategy.lr_scale(position, stages)
        for decays in (True, False):
            some = [p for p in module.parameters() if (p.dim() > 1) == decays]
            every.append(_group(some, learning_rate, recipe.weight_decay if decays else 0.0))
    every.append(_group(own, recipe.learning_rate, 0.0))
    return [group for group in every if group["params"]]


def _group(parameters: Sequence[nn.Parameter], rate: float, decay: float) -> dict[str, Any]:
    return {"params": list(parameters), "lr": rate, "base": rate, "weight_decay": decay}
