"""Arrays and tensors as numpy's, and inputs that come with their targets."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

_CHANNELS = (1, 3, 4)


def as_array(given: Any) -> np.ndarray | None:
    """An array as it is, a tensor of torch with its channels last; None for all else.

    A tensor's channels are its first of three axes, as torch has them, unless only the last can be.
    """
    if isinstance(given, np.ndarray):
        return given
    if not is_tensor(given):
        return None
    array: np.ndarray = given.detach().cpu().numpy()
    if array.ndim not in (3, 4) or array.shape[-3] not in _CHANNELS:
        return array
    return np.moveaxis(array, -3, -1)


def is_tensor(given: Any) -> bool:
    """Whether a thing is a tensor of torch."""
    torch = sys.modules.get("torch")  # what is not imported made nothing
    return torch is not None and isinstance(given, torch.Tensor)


def inputs_alone(given: Any) -> Any:
    """X of a pair `(X, y)` of as many inputs and targets; all else as it is."""
    if not isinstance(given, tuple) or len(given) != 2:
        return given
    inputs, targets = given
    several = _are_several(inputs) and isinstance(targets, Sequence | np.ndarray)
    return inputs if several and len(inputs) == len(targets) and _are_labels(targets) else given


def _are_several(inputs: Any) -> bool:
    if isinstance(inputs, np.ndarray):
        return inputs.dtype.kind in "OUS" or inputs.ndim == 4
    return isinstance(inputs, list) or (is_tensor(inputs) and inputs.ndim == 4)


def _are_labels(targets: Any) -> bool:
    if isinstance(targets, np.ndarray):
        return targets.ndim in (1, 2)
    return isinstance(targets, list | tuple)
