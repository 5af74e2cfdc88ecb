"""The ways to run a frozen prefix, and the choice of the fastest that agrees with plain torch."""

from headstart.features.engine.choice import fastest
from headstart.features.engine.interface import (
    Engine,
    EngineError,
    count,
    each,
    head,
    numbers,
    on_device,
    part,
    tensors,
    to_device,
)
from headstart.features.engine.looks import Averaged, mean
from headstart.features.engine.torch import TorchEngine

__all__ = [
    "Averaged",
    "Engine",
    "EngineError",
    "TorchEngine",
    "count",
    "each",
    "fastest",
    "head",
    "mean",
    "numbers",
    "on_device",
    "part",
    "tensors",
    "to_device",
]
