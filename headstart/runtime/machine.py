"""The device and precision that the settings ask for or the hardware suggests."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, final

from headstart.defaults import Settings
from headstart.errors import HeadstartError
from headstart.runtime.accelerators import here

if TYPE_CHECKING:  # so that frozen features need no torch
    import torch
    from accelerate import Accelerator
    from threadpoolctl import ThreadpoolController

WORTH_THREADS = 50_000_000  # numbers in a matrix; with fewer, threads wait more than work
_POOLED = {"torch", "scipy.linalg", "sklearn.utils._openmp_helpers"}  # which bring some
WORTH_BF16 = 500_000  # parameters; below that the conversions cost more than the products save


def threads_for(numbers: int) -> AbstractContextManager[object]:
    """One thread for small products: more of them wait for one another longer than they compute."""
    if numbers >= WORTH_THREADS:
        return nullcontext()
    limit: AbstractContextManager[object] = _pools(frozenset(_POOLED & sys.modules.keys())).limit(
        limits=1
    )
    return limit


@cache
def _pools(libraries: frozenset[str]) -> ThreadpoolController:
    """The pools of threads of the libraries loaded; to look for them takes as long as a small fit.

    They are looked for again once there are others.
    """
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def device(name: str = "auto") -> torch.device:
    """The device to compute on. Raises HeadstartError for one that this machine lacks."""
    import torch

    kinds = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if name == "auto":
        name = next(kind for kind in ("cuda", "mps", "cpu") if kinds[kind])
    if not kinds.get(name, False):
        raise HeadstartError(
            f"Device {name!r} is not on this machine. Leave --device out, or give cpu."
        )
    return torch.device(name)


@final
@dataclass(frozen=True)
class Compute:
    """Where and how a run computes, for its settings and a network of so many parameters.

    Torch is imported where there may be a device that only it knows, or once something trains.
    """

    settings: Settings
    parameters: int
    device: str

    def __getstate__(self) -> dict[str, object]:
        """Without what belongs to this process."""
        return {name: value for name, value in vars(self).items() if name != "accelerator"}

    @classmethod
    def of(cls, settings: Settings, parameters: int) -> Compute:
        """That of these settings. Raises HeadstartError for a device that this machine lacks."""
        where = settings.device
        plain = where == "cpu" or (where == "auto" and not here())
        return cls(settings, parameters, "cpu" if plain else str(device(where).type))

    @cached_property
    def accelerator(self) -> Accelerator:
        """Accelerate's object. Raises HeadstartError for a setting that is not possible here."""
        return accelerator(self.settings, self.parameters)


def has_bf16(where: torch.device) -> bool:
    """Whether bf16 products run in hardware there."""
    import torch

    if where.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if where.type == "cpu":
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())  # torch offers no public name
    return False


def accelerator(settings: Settings, parameters: int) -> Accelerator:
    """Accelerate's object for these settings and a network of so many parameters.

    bf16 is used where the hardware multiplies in it and the network is large enough to gain.
    Raises HeadstartError for a setting that is not known or not possible here.
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    where = device(settings.device)
    bf16 = settings.precision == "bf16" or (
        settings.precision == "auto" and has_bf16(where) and parameters >= WORTH_BF16
    )
    AcceleratorState._reset_state(
        reset_partial_state=True
    )  # an earlier run may have had other settings
    return Accelerator(mixed_precision="bf16" if bf16 else "no", cpu=where.type == "cpu")
