"""Networks that can't be trained on a single item at a time."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from headstart.contracts import Batch


def alone(batch: Batch, model: nn.Module) -> bool:
    """Whether a batch is a single item, on which this network can't be trained as it stands."""
    return len(batch.targets) == 1 and needs_several(model)


def needs_several(model: nn.Module) -> bool:
    """Whether a BatchNorm is training, so that an item alone has no others to be compared with.

    Torch refuses a single value a channel; of a single picture there are more, but all are its own.
    """
    return any(isinstance(each, _BatchNorm) and each.training for each in model.modules())
