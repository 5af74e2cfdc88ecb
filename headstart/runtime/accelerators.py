"""Whether there may be a device to compute on besides the CPU; asks neither torch nor a driver."""

from __future__ import annotations

import sys
from pathlib import Path

_FILES = ("nvidia[0-9]*", "kfd", "dxg", "accel")  # under /dev, of CUDA, ROCm, WSL and others


def here() -> bool:
    """False where there is surely none; where torch may know of one it must be asked."""
    if sys.platform != "linux":
        return True
    return any(next(Path("/dev").glob(pattern), None) for pattern in _FILES)
