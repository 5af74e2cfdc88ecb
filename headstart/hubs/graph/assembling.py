"""A backbone of a network that was found in a graph file: filled, or shuffled, and tried."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor, nn

from headstart.contracts import Backbone
from headstart.contracts.references import Reference
from headstart.errors import HeadstartError, reason
from headstart.hubs.graph.planning import GraphSpec
from headstart.loading import head_removal


@final
class Positions(nn.Module):
    """The mean over positions."""

    def forward(self, features: Tensor) -> Tensor:
        """(N, D, …) -> (N, D)."""
        return features.flatten(2).mean(2) if features.dim() > 2 else features


@final
@dataclass(frozen=True)
class Opened:
    """A network without its head, and how it is rebuilt.

    `shuffle` takes away what it learned. `output` names the features that were found. `file` is
    what a saved model keeps of it.
    """

    found: head_removal.Headless
    shuffle: Callable[[], None]
    preprocess: dict[str, Any]
    output: str | None
    architecture: Reference
    file: tuple[str, bytes]


def assemble(spec: GraphSpec, opened: Opened) -> Backbone:
    """The backbone, with the weights that were given, its own, or shuffled ones.

    Raises WeightsError for weights of another network, and HeadstartError where the network can't
    read its pictures, or answers other than one row each.
    """
    if not spec.options.pretrained and spec.reference.weights is None:
        opened.shuffle()
    made = head_removal.backbone(
        head_removal.filled(opened.found, spec.reference),
        reference=spec.reference.with_options(output=opened.output or spec.options.output or None),
        architecture=opened.architecture,
        pretrained=spec.options.pretrained or spec.reference.weights is not None,
        preprocess=opened.preprocess,
        files=dict([opened.file]),
    )
    _try(spec, made)
    return made


def example(preprocess: dict[str, Any]) -> Tensor:
    """Two pictures of chance."""
    sides = [preprocess[side] for side in ("channels", "height", "width")]
    return torch.rand(2, *sides, generator=torch.Generator().manual_seed(0))


def _try(spec: GraphSpec, made: Backbone) -> None:
    """Raise HeadstartError where two pictures don't give two rows of features."""
    rows: Any = example(dict(made.preprocess))
    sides = "x".join(map(str, rows.shape[1:]))
    try:
        with torch.no_grad():
            for stage in made.stages.values():
                rows = stage.eval()(rows)
    except Exception as error:  # a network of any author fails in any way
        raise HeadstartError(
            f"{spec.path} can't run on pictures of {sides} ({reason(error)}). "
            "Give the size= that it wants, or save it again."
        ) from error
    if rows.shape != (2, made.feature_dim):
        raise HeadstartError(
            f"{spec.path} answers two pictures with {list(rows.shape)}, not one row each. "
            "Name another tensor with output=NAME."
        )
