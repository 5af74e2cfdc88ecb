"""Checkpoints of a training, renamed into place: a kill leaves the last whole one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from headstart.errors import HeadstartError


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint atomically. Raises HeadstartError when the disk is full."""
    import torch

    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".writing")
    try:
        with open(beside, "wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
    except (OSError, RuntimeError) as error:  # torch reports a short write as a RuntimeError
        beside.unlink(missing_ok=True)
        raise HeadstartError(
            f"The checkpoint {path} can't be written ({error}). "
            "Free some space; earlier epochs are kept."
        ) from None
    os.replace(beside, path)


def load_checkpoint(path: Path) -> dict[str, Any] | None:
    """Read a checkpoint, tensors and plain values only; None where there is none.

    Raises HeadstartError for a damaged one.
    """
    import torch

    if not path.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged archive raises nearly anything
        raise HeadstartError(
            f"The checkpoint {path} can't be read ({type(error).__name__}). "
            "Remove it to start that training again."
        ) from error
    return state
