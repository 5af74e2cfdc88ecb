"""The ways to run a frozen prefix, and the choice of the fastest that agrees with plain torch.

Names are imported when they are first used, so that a saved model answers without torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headstart.contracts.exports import exports

if TYPE_CHECKING:
    from headstart.features.engine.choice import cached_engine, fastest
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
    "cached_engine",
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

__getattr__ = exports(
    __name__,
    {
        "choice": ("fastest", "cached_engine"),
        "interface": (
            *("Engine", "EngineError", "count", "each", "head", "numbers", "on_device", "part"),
            *("tensors", "to_device"),
        ),
        "looks": ("Averaged", "mean"),
        "torch": ("TorchEngine",),
    },
)
