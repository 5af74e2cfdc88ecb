"""The ways to run a frozen prefix, and the choice of the fastest that agrees with plain torch.

Names are imported when they are first used, so that a saved model answers without torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headstart.contracts.exports import exports

if TYPE_CHECKING:
    from headstart.features.engine.choice import cached_engine as cached_engine
    from headstart.features.engine.choice import fastest as fastest
    from headstart.features.engine.interface import Engine as Engine
    from headstart.features.engine.interface import EngineError as EngineError
    from headstart.features.engine.interface import count as count
    from headstart.features.engine.interface import each as each
    from headstart.features.engine.interface import head as head
    from headstart.features.engine.interface import numbers as numbers
    from headstart.features.engine.interface import on_device as on_device
    from headstart.features.engine.interface import part as part
    from headstart.features.engine.interface import tensors as tensors
    from headstart.features.engine.interface import to_device as to_device
    from headstart.features.engine.looks import Averaged as Averaged
    from headstart.features.engine.looks import mean as mean
    from headstart.features.engine.torch import TorchEngine as TorchEngine


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
