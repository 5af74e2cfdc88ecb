"""What Keras' layers do and torch's don't, on maps (N, C, H, W) that stand for (N, H, W, C).

Modules, and the windows of convolutions and pooling: their sizes, and the padding called same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from headstart.errors import HeadstartError
from headstart.loading.layer_graph import Edges


@final
class PaddedConv2d(nn.Conv2d):
    """A convolution with more zeros at one edge than at the other."""

    edges: Edges = (0, 0, 0, 0)

    def forward(self, input: Tensor) -> Tensor:
        """Maps to maps."""
        return super().forward(functional.pad(input, self.edges))


@final
class PaddedAvgPool2d(nn.Module):
    """The mean of each window, of the values within the edges only."""

    def __init__(
        self, window: Sequence[int], steps: Sequence[int], edges: Edges, size: Sequence[int]
    ) -> None:
        super().__init__()
        self.window, self.steps, self.edges = tuple(window), tuple(steps), edges
        self.register_buffer("share", self._mean(torch.ones(1, 1, *size)), persistent=False)
        self.share: Tensor

    def forward(self, maps: Tensor) -> Tensor:
        """Maps of the one size to maps."""
        return self._mean(maps) / self.share

    def _mean(self, maps: Tensor) -> Tensor:
        return functional.avg_pool2d(functional.pad(maps, self.edges), self.window, self.steps)


@final
class GlobalPool2d(nn.Module):
    """The mean or the greatest value over all positions."""

    def __init__(self, greatest: bool, keep: bool) -> None:
        super().__init__()
        self.greatest, self.keep = greatest, keep

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (N, C, H, W) to (N, C), or (N, C, 1, 1)."""
        return maps.amax((2, 3), self.keep) if self.greatest else maps.mean((2, 3), self.keep)


@final
class ChannelNorm(nn.LayerNorm):
    """Layer normalisation over the channels of maps, at each position (Ba et al. 2016)."""

    def forward(self, input: Tensor) -> Tensor:
        """Maps to maps."""
        return super().forward(input.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


@final
class Scale(nn.Module):
    """Each channel times a number that is learned: layer scale (Touvron et al. 2021)."""

    def __init__(self, channels: int, maps: bool) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(channels))
        self.shape = (-1, 1, 1) if maps else (-1,)

    def forward(self, values: Tensor) -> Tensor:
        """Values to values of that shape."""
        return values * self.gamma.view(self.shape)


@final
class ParametricReLU(nn.Module):
    """Negative values times what is learned for their channel or place (He et al. 2015)."""

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(*shape))

    def forward(self, values: Tensor) -> Tensor:
        """Values to values of that shape."""
        return values.relu() - self.alpha * (-values).relu()


@final
class Affine(nn.Module):
    """Times a number and plus another, one for all or one a channel; not learned."""

    def __init__(self, scale: float | Sequence[float], offset: float | Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("scale", _aligned(scale), persistent=False)
        self.register_buffer("offset", _aligned(offset), persistent=False)
        self.scale: Tensor
        self.offset: Tensor

    def forward(self, maps: Tensor) -> Tensor:
        """Values to values of that shape."""
        return maps * self.scale + self.offset


@final
class Standardise(nn.Module):
    """Each channel less its mean, divided by its deviation: statistics of data, not learned.

    Given ones are part of the design; others come with the weights. `back` undoes it.
    """

    def __init__(
        self,
        channels: int,
        mean: Sequence[float] | None,
        variance: Sequence[float] | None,
        back: bool = False,
    ) -> None:
        super().__init__()
        self.back = back
        own = mean is None or variance is None
        values = {"mean": mean or [0.0] * channels, "variance": variance or [1.0] * channels}
        for name, numbers in values.items():
            self.register_buffer(name, torch.tensor(numbers, dtype=torch.float32), persistent=own)
        self.mean: Tensor
        self.variance: Tensor

    def forward(self, maps: Tensor) -> Tensor:
        """Maps to maps, or rows to rows."""
        shape = (-1, 1, 1) if maps.dim() == 4 else (-1,)
        deviation = self.variance.sqrt().clamp(min=1e-7)  # Keras' epsilon
        mean, deviation = self.mean.view(shape), deviation.view(shape)
        return mean + maps * deviation if self.back else (maps - mean) / deviation


@final
class DropPath(nn.Module):
    """In training, leaves out this branch for some items (Huang et al. 2016)."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, values: Tensor) -> Tensor:
        """Values to values of that shape."""
        if not self.training or not self.rate:
            return values
        shape = (values.shape[0], *[1] * (values.dim() - 1))
        survives = torch.rand(shape, device=values.device, dtype=values.dtype) >= self.rate
        return values / (1 - self.rate) * survives


def _aligned(value: float | Sequence[float]) -> Tensor:
    values = torch.as_tensor(value, dtype=torch.float32)
    return values.view(-1, 1, 1) if values.dim() else values


def pair(value: Any) -> tuple[int, int]:
    """Two whole numbers from one or two."""
    both = value if isinstance(value, Sequence) else (value, value)
    height, width = (int(side) for side in both)
    return height, width


def edges(
    config: Mapping[str, Any], maps: Tensor, window: Sequence[int], steps: Sequence[int]
) -> Edges:
    """How much to pad maps at the left, right, top and bottom; the odd one goes to the end.

    Raises HeadstartError for another padding than same and valid.
    """
    padding = config.get("padding", "valid")
    if padding == "valid":
        return 0, 0, 0, 0
    if padding != "same":
        raise HeadstartError(f"padding={padding} is not known")
    spread = pair(config.get("dilation_rate", 1))
    pads: list[int] = []
    for size, side, step, gap in zip(maps.shape[2:], window, steps, spread, strict=True):
        reach = (side - 1) * gap + 1
        total = max((-(-size // step) - 1) * step + reach - size, 0)
        pads += [total // 2, total - total // 2]
    top, bottom, left, right = pads
    return left, right, top, bottom


def symmetric(around: Edges) -> tuple[int, int] | None:
    """The padding of rows and of columns, where both ends have the same; None otherwise."""
    left, right, top, bottom = around
    return (top, left) if left == right and top == bottom else None


def borders(value: Any) -> Edges:
    """The edges that Keras gives as one number, two, or two pairs."""
    if not isinstance(value, Sequence):
        value = (value, value)
    rows, columns = (pair(side) for side in value)
    return columns[0], columns[1], rows[0], rows[1]
