"""The one training loop: any model, task and strategy, on raw items or stored activations."""

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
