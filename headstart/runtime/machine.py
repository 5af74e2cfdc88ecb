"""The device and precision that the settings ask for or the hardware suggests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headstart.defaults import Settings
from headstart.errors import HeadstartError

if TYPE_CHECKING:  # so that frozen features need no torch
    import torch
    from accelerate import Accelerator

WORTH_BF16 = 500_000  # parameters; below that the conversions cost more than the products save


def device(name: str = "auto") -> torch.device:
    """The device to compute on. Raises HeadstartError for one that this machine lacks."""
    import torch

    here = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if name == "auto":
        name = next(found for found in ("cuda", "mps", "cpu") if here[found])
    if not here.get(name, False):
        raise HeadstartError(
            f"Device {name!r} is not on this machine. Leave --device out, or give cpu."
        )
    return torch.device(name)


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
