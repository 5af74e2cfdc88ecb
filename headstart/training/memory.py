"""Steps where memory is short: what such an error looks like, and a batch in smaller parts."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from headstart.contracts import Batch
from headstart.errors import HeadstartError
from headstart.features.engine import part
from headstart.training.single import alone

_WORDS = ("out of memory", "not enough memory", "can't allocate memory")


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(
        word in str(error).lower() for word in _WORDS
    )


def demand_parts(batch: Batch, parts: int, model: nn.Module, label: str) -> list[Batch]:
    """The batch in parts that fit into memory, without one that can't be normalised.

    Raises HeadstartError where none is left.
    """
    if parts == 1:
        return [batch]
    usable = [each for each in split(batch, parts) if not alone(each, model)]
    if not usable:
        raise HeadstartError(
            f"{label} is out of memory at two items a step, and a BatchNorm needs "
            "more than one. Name a smaller network."
        )
    return usable


def split(batch: Batch, parts: int) -> Iterator[Batch]:
    """A batch in so many parts at most, in its order; the batch itself where it is one."""
    if parts == 1:
        yield batch
        return
    size = -(-len(batch.targets) // parts)
    for start in range(0, len(batch.targets), size):
        inputs = part(batch.inputs, start, start + size)
        yield Batch(inputs, batch.targets[start : start + size], batch.start)
