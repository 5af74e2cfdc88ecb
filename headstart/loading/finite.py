"""Weights that are no numbers: told when a backbone is loaded, whatever hub it came from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from headstart.contracts import Backbone
from headstart.contracts.references import Reference
from headstart.errors import WeightsError

if TYPE_CHECKING:  # so that frozen features need no torch
    from torch import Tensor

_STATISTICS = ("running_mean", "running_var")  # other buffers, such as masks, may be infinite


def demand_finite(backbone: Backbone, reference: Reference) -> None:
    """Raise WeightsError where a weight or a norm's statistic is NaN or infinite.

    A sum of each tensor tells that, at less than a hundredth of what loading costs. What is known
    without its network was looked at when it was loaded.
    """
    if backbone.is_late:
        return
    import torch

    for name, tensor in _tensors(backbone):
        if not tensor.is_floating_point() or tensor.is_meta:
            continue
        numbers = tensor.float() if tensor.itemsize == 1 else tensor  # of 8 bits there are no sums
        if not torch.isfinite(numbers.sum()):
            count = int((~torch.isfinite(numbers)).sum())  # none where the sum alone is too large
            if count:
                raise WeightsError(
                    f"{reference.weights or reference} has {count:,} numbers in {name} that are "
                    "NaN or infinite. Give weights from before its training diverged, or copy them "
                    "again."
                )


def _tensors(backbone: Backbone) -> Iterator[tuple[str, Tensor]]:
    parts = [*backbone.stages.items(), *([("head", backbone.head)] if backbone.head else [])]
    for stage, part in parts:
        for name, parameter in part.named_parameters():
            yield f"{stage}.{name}", parameter.detach()
        for name, buffer in part.named_buffers():
            if name.endswith(_STATISTICS):
                yield f"{stage}.{name}", buffer
