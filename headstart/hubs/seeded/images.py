"""Tiny networks for images: convolutions, residual blocks, and a vision transformer."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, final

import torch
from torch import Tensor, nn

from headstart.contracts import Preprocess
from headstart.contracts.references import Reference
from headstart.errors import HeadstartError
from headstart.hubs.seeded.design import Design, Stages, without_pool
from headstart.loading.spec import HubOptions, resolve
from headstart.loading.stages.remembered import stages_and_pool

_PATCH: Final = 4  # pixels
_LARGEST: Final = 1024  # pixels of a side: the transformer weighs each patch against each other
_WRITTEN: Final = ("seed", "pretrained")  # anew in every architecture


@final
@dataclass(frozen=True)
class ImageOptions(HubOptions):
    """The options of a network for images.

    `size` is in pixels, `width` counts the first channels.
    """

    seed: int = 0
    size: int = 16
    channels: int = 3
    width: int = 8
    pretrained: bool = True


def design(name: str, reference: Reference) -> Design:
    """The network of this name. Raises HeadstartError for options that it can't have."""
    options = resolve(ImageOptions, reference, what=f"seeded:{name}")
    if min(options.size, options.channels, options.width) < 1 or options.size % _PATCH:
        raise HeadstartError(
            f"{reference} has a size that is not a multiple of {_PATCH}, or a number below 1. "
            "Give for example size=16&channels=3&width=8."
        )
    if options.size > _LARGEST:
        raise HeadstartError(
            f"{reference} has a size above {_LARGEST}, too large for a network with patches of "
            f"{_PATCH}. Give for example size=64, or a network of timm."
        )
    make = NETWORKS[name]

    def cut(network: nn.Module) -> tuple[Stages, nn.Module, int]:
        example = torch.zeros(2, options.channels, options.size, options.size)
        with torch.no_grad():
            feature_dim = network.eval()(example).shape[1]
        if make is _Transformer:  # which can't be traced, as it looks at the size of its input
            return *without_pool(network), feature_dim
        return *stages_and_pool(network, example), feature_dim

    return Design(
        modality="image",
        input=f"{options.channels}x{options.size}x{options.size}",
        preprocess=_preprocess(options),
        seed=options.seed,
        pretrained=options.pretrained,
        options=options.changed(_WRITTEN),
        make=lambda: make(options),
        cut=cut,
    )


def _preprocess(options: ImageOptions) -> Preprocess:
    return {
        "channels": options.channels,
        "height": options.size,
        "width": options.size,
        "crop": 1.0,
        "crop_mode": "center",
        "interpolation": "bilinear",
        "mean": [0.5] * options.channels,
        "std": [0.5] * options.channels,
    }


def _convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


@final
class _Residual(nn.Module):
    """Two convolutions with a way around them (He et al. 2015)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = _convolution(inputs, outputs, stride)
        self.second = nn.Sequential(
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs)
        )
        self.around = nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """Maps (N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        result: Tensor = self.second(self.first(inputs)) + self.around(inputs)
        return torch.relu(result)


@final
class _Embedding(nn.Module):
    """Patches as tokens, with a learned position each."""

    def __init__(self, options: ImageOptions, width: int) -> None:
        super().__init__()
        self.size = options.size
        self.patches = nn.Conv2d(options.channels, width, _PATCH, _PATCH)
        self.positions = nn.Parameter(torch.randn(1, (options.size // _PATCH) ** 2, width) * 0.02)

    def forward(self, inputs: Tensor) -> Tensor:
        """Maps (N, C, size, size) to (N, tokens, width)."""
        tokens: Tensor = self.patches(inputs).flatten(2).transpose(1, 2)
        return tokens + self.positions


@final
class _Pool(nn.Module):
    """The mean over tokens, normed."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Maps (N, tokens, width) to (N, width)."""
        normed: Tensor = self.norm(tokens)
        return normed.mean(1)


@final
class _Transformer(nn.Module):
    """A tiny vision transformer (Dosovitskiy et al. 2020) that checks its input size."""

    def __init__(self, options: ImageOptions) -> None:
        super().__init__()
        width = options.width * 4
        self.size = options.size
        self.embedding = _Embedding(options, width)
        for number in range(3):
            layer = nn.TransformerEncoderLayer(
                width, 4, width * 2, dropout=0.0, batch_first=True, norm_first=True
            )
            self.add_module(f"layer{number + 1}", layer)
        self.pool = _Pool(width)

    def forward(self, inputs: Tensor) -> Tensor:
        """Maps (N, C, size, size) to (N, 4 · width)."""
        if inputs.shape[-1] != self.size:
            raise HeadstartError(f"{inputs.shape[-1]} px is not this network's {self.size} px.")
        for child in self.children():
            inputs = child(inputs)
        return inputs


def _convnet(options: ImageOptions) -> nn.Module:
    width = options.width
    steps: list[tuple[int, int, int]] = [
        (options.channels, width, 1),
        (width, width * 2, 2),
        (width * 2, width * 4, 2),
        (width * 4, width * 4, 1),
    ]
    return _chain(_convolution(*step) for step in steps)


def _residual(options: ImageOptions) -> nn.Module:
    width = options.width
    steps = [(width, width, 1), (width, width * 2, 2), (width * 2, width * 4, 2)]
    blocks: list[nn.Module] = [_Residual(*step) for step in steps]
    return _chain([_convolution(options.channels, width), *blocks])


def _chain(blocks: Iterable[nn.Module]) -> nn.Module:
    chain: dict[str, Any] = {f"block{number + 1}": block for number, block in enumerate(blocks)}
    return nn.Sequential(OrderedDict(chain, pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten()))


NETWORKS: Final[Mapping[str, Callable[[ImageOptions], nn.Module]]] = {
    "convnet": _convnet,
    "residual": _residual,
    "vit": _Transformer,
}
