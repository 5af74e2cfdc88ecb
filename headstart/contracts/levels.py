"""The scales of the maps that a detector's head reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # so that cards can be read without torch
    from torch import Tensor


@dataclass(frozen=True)
class Level:
    """One scale of the maps that a detector's head reads: pixels from one place to the next.

    `reads` says which map its layers read, and `channels` how wide that is: `cls` for the class,
    `reg` for the box, `obj` for whether there is an object. `layers` are their pretrained weights
    (O, C, 1, 1) and biases, if any; `bare` maps were never made for boxes.
    """

    stride: int
    reads: Mapping[str, str]
    channels: Mapping[str, int]
    layers: Mapping[str, tuple[Tensor, Tensor]] = field(default_factory=dict)
    bare: bool = False
