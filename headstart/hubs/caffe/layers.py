"""What Caffe's layers compute that torch's own modules don't."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional


@final
class ResponseNormWithin(nn.Module):
    """Local response normalisation over a square of positions of one channel.

    Krizhevsky et al. 2012, in Caffe's variant: x (1 + alpha · mean of x² in the square) ** -beta,
    where the mean counts zeros beyond the border.
    """

    def __init__(self, size: int, alpha: float, beta: float) -> None:
        super().__init__()
        self.size = size
        self.alpha = alpha
        self.beta = beta

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (N, C, H, W) to the same."""
        near = functional.avg_pool2d(maps * maps, self.size, 1, self.size // 2)
        return maps * (1 + self.alpha * near).pow(-self.beta)


@final
class Affine(nn.Module):
    """A product with weights, a sum with biases, or both, along axes from `axis` on."""

    def __init__(self, shape: Sequence[int], after: int, scales: bool, shifts: bool) -> None:
        super().__init__()
        self.view = (*shape, *[1] * after)
        sides = tuple(shape) or (1,)
        self.weight = nn.Parameter(torch.ones(sides)) if scales else None
        self.bias = nn.Parameter(torch.zeros(sides)) if shifts else None

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (N, …) to the same."""
        if self.weight is not None:
            maps = maps * self.weight.reshape(self.view)
        return maps if self.bias is None else maps + self.bias.reshape(self.view)


@final
class ScaledBy(nn.Module):
    """The product of maps with a second input, which lacks their last axes."""

    def __init__(self, lacking: int) -> None:
        super().__init__()
        self.lacking = lacking

    def forward(self, maps: Tensor, factors: Tensor) -> Tensor:
        """Maps (N, C, H, W) and factors (N, C), for example, to the shape of the maps."""
        return maps * factors.reshape(*factors.shape, *[1] * self.lacking)


@final
class Power(nn.Module):
    """(shift + scale · x) ** power."""

    def __init__(self, power: float, scale: float, shift: float) -> None:
        super().__init__()
        self.power = power
        self.scale = scale
        self.shift = shift

    def forward(self, maps: Tensor) -> Tensor:
        """Maps any shape to the same."""
        moved = self.shift + self.scale * maps
        return moved if self.power == 1 else moved.pow(self.power)


@final
class Slice(nn.Module):
    """Consecutive parts along an axis, of these lengths."""

    def __init__(self, axis: int, lengths: Sequence[int]) -> None:
        super().__init__()
        self.axis = axis
        self.lengths = list(lengths)

    def forward(self, maps: Tensor) -> tuple[Tensor, ...]:
        """One tensor a part."""
        return torch.split(maps, self.lengths, self.axis)
