"""The one training loop: any model, task and strategy, on raw items or stored activations.

Names are imported when they are first used, so that frozen features need no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headstart.contracts.exports import exports

if TYPE_CHECKING:
    from headstart.training.loop import predict, train
    from headstart.training.moving import fixed_in, start_epoch
    from headstart.training.record import Session, Splits, Training, seed_everything
    from headstart.training.single import needs_several

__all__ = [
    "Session",
    "Splits",
    "Training",
    "fixed_in",
    "needs_several",
    "predict",
    "seed_everything",
    "start_epoch",
    "train",
]

__getattr__ = exports(
    __name__,
    {
        "loop": ("predict", "train"),
        "moving": ("fixed_in", "start_epoch"),
        "record": ("Session", "Splits", "Training", "seed_everything"),
        "single": ("needs_several",),
    },
)
