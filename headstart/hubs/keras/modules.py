"""What Keras' layers do and torch's don't, on maps (N, C, H, W) that stand for (N, H, W, C)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional

Edges = tuple[int, int, int, int]  # left, right, top, bottom, as torch pads


@final
class PaddedConv2d(nn.Conv2d):
    """A convolution with more zeros at one edge than at the other."""

    edges: Edges = (0, 0, 0, 0)

    def forward(self, input: Tensor) -> Tensor:
        """Maps to maps."""
        return super().forward(functional.pad(input, self.edges))


@final
class PaddedMaxPool2d(nn.Module):
    """The greatest value in each window; beyond the edges there is none."""

    def __init__(self, window: Sequence[int], steps: Sequence[int], edges: Edges) -> None:
        super().__init__()
        self.window, self.steps, self.edges = tuple(window), tuple(steps), edges

    def forward(self, maps: Tensor) -> Tensor:
        """Maps to maps."""
        padded = functional.pad(maps, self.edges, value=-torch.inf)
        return functional.max_pool2d(padded, self.window, self.steps)


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
class Reshape(nn.Module):
    """Another shape of each item, in the order of (H, W, C)."""

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self.shape = tuple(shape)

    def forward(self, values: Tensor) -> Tensor:
        """Values (N, …) to (N, *shape); maps keep their channels first."""
        if values.dim() == 4:
            values = values.permute(0, 2, 3, 1)
        made = values.reshape(values.shape[0], *self.shape)
        return made.permute(0, 3, 1, 2) if made.dim() == 4 else made


@final
class Crop(nn.Module):
    """Maps without so many rows and columns at each edge."""

    def __init__(self, edges: Edges) -> None:
        super().__init__()
        self.edges = edges

    def forward(self, maps: Tensor) -> Tensor:
        """Maps to smaller maps."""
        left, right, top, bottom = self.edges
        rows, columns = maps.shape[2] - bottom, maps.shape[3] - right
        return maps[:, :, top:rows, left:columns]


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
class ScaledResidual(nn.Module):
    """A block's input plus a small share of what it computed (Szegedy et al. 2017)."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, given: Tensor, made: Tensor) -> Tensor:
        """Two of one shape to one of it."""
        return given + made * self.share


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
        kept = torch.rand(shape, device=values.device, dtype=values.dtype) >= self.rate
        return values / (1 - self.rate) * kept


@final
class WithoutChannels(nn.Module):
    """Grey pictures as rows of numbers, without an axis of channels."""

    def forward(self, pictures: Tensor) -> Tensor:
        """Pictures (N, 1, H, W) to (N, H, W)."""
        return pictures.flatten(1, 2)


def _aligned(value: float | Sequence[float]) -> Tensor:
    made = torch.as_tensor(value, dtype=torch.float32)
    return made.view(-1, 1, 1) if made.dim() else made
