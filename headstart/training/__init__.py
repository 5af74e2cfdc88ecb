"""The one training loop: any model, task and strategy, on raw items or stored activations.

Names are imported when they are first used, so that frozen features need no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headstart.contracts.exports import exports

if TYPE_CHECKING:
    from headstart.training.loop import predict as predict
    from headstart.training.loop import train as train
    from headstart.training.moving import fixed_in as fixed_in
    from headstart.training.moving import start_epoch as start_epoch
    from headstart.training.record import Session as Session
    from headstart.training.record import Splits as Splits
    from headstart.training.record import Training as Training
    from headstart.training.record import seed_everything as seed_everything
    from headstart.training.single import needs_several as needs_several


__getattr__ = exports(
    __name__,
    {
        "loop": ("predict", "train"),
        "moving": ("fixed_in", "start_epoch"),
        "record": ("Session", "Splits", "Training", "seed_everything"),
        "single": ("needs_several",),
    },
)
