"""Tiny random networks: a stand-in for real ones in trials and tests, ready in a blink."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from typing import Any, Final, final

import torch
from torch import Tensor, nn

from headstart.contracts import Backbone, Card, Hub, Origin, Preprocess
from headstart.errors import HeadstartError, UnknownNameError
from headstart.references import Reference, build
from headstart.stages import find_stages
from headstart.weights import digest, load_into, read

_HEAD: Final = "head"
_LICENCE: Final = "Apache-2.0"
_PATCH: Final = 4  # pixels


@final
@dataclass(frozen=True)
class Settings:
    """The options of a seeded reference; `size` is in pixels, `width` counts the first channels."""

    seed: int = 0
    size: int = 16
    channels: int = 3
    width: int = 8
    pretrained: bool = True


@final
class Seeded(Hub):
    """Tiny networks whose weights come from a seed, or from a file they were saved in.

    `seeded:convnet?seed=3` always has the same weights and leaves torch's random state alone. With
    `pretrained=false` the weights follow torch's global random state instead, as those of any
    untrained network do. `@file` loads weights saved from the same network, with their head.
    """

    def cards(self, pattern: str) -> Iterable[Card]:
        """All seeded networks whose name matches the shell pattern."""
        for name in _NETWORKS:
            if fnmatchcase(name, pattern):
                with torch.random.fork_rng(devices=()):
                    network, _ = _NETWORKS[name](Settings())
                count = sum(parameter.numel() for parameter in network.parameters())
                yield Card(f"seeded:{name}", "image", count, "3x16x16", _LICENCE, None, True)

    def load(self, reference: Reference) -> Backbone:
        """Build the network. Raises HeadstartError for unknown names, options and wrong weights."""
        if reference.name not in _NETWORKS:
            raise UnknownNameError("seeded network", reference.name, _NETWORKS)
        settings = build(Settings, reference.options, f"seeded:{reference.name}")
        _check(settings, reference)
        network, given = _grow(reference, settings)
        head = _load(network, reference) if reference.weights is not None else None
        example = torch.zeros(2, settings.channels, settings.size, settings.size)
        with torch.no_grad():
            feature_dim = network.eval()(example).shape[1]
        return Backbone(
            stages=find_stages(network, example, given),
            feature_dim=feature_dim,
            modality="image",
            preprocess=_preprocess(settings),
            origin=Origin(
                reference=str(reference),
                licence=_LICENCE,
                trained_on=None,
                weights_hash=digest(network.state_dict()),
                pretrained=reference.weights is not None,
            ),
            architecture=_architecture(reference.name, settings),
            head=head,
            head_name=_HEAD,
        )


def _check(settings: Settings, reference: Reference) -> None:
    if min(settings.size, settings.channels, settings.width) < 1 or settings.size % _PATCH:
        raise HeadstartError(
            f"{reference} has a size that is not a multiple of {_PATCH}, or a number below 1. "
            "Give for example size=16&channels=3&width=8."
        )


def _grow(reference: Reference, settings: Settings) -> tuple[nn.Module, Given]:
    make = _NETWORKS[reference.name]
    if not settings.pretrained and reference.weights is None:
        return make(settings)
    with torch.random.fork_rng(devices=()):
        torch.default_generator.manual_seed(settings.seed)
        return make(settings)


def _load(network: nn.Module, reference: Reference) -> nn.Module | None:
    """Fill the network from the file, and answer the head that the file holds with it."""
    state = read(str(reference.weights)).state
    names = {name for name in state if name.startswith(f"{_HEAD}.")}
    rest = {name: tensor for name, tensor in state.items() if name not in names}
    load_into(network, rest, str(reference.weights))
    weight = state.get(f"{_HEAD}.weight")
    if weight is None:
        return None
    with torch.random.fork_rng(devices=()):
        head = nn.Linear(weight.shape[1], weight.shape[0], bias=f"{_HEAD}.bias" in state)
    parts = {name.removeprefix(f"{_HEAD}."): state[name] for name in names}
    load_into(head, parts, f"{reference.weights} (its head)")
    return head


def _architecture(name: str, settings: Settings) -> Reference:
    options = {"size": settings.size, "channels": settings.channels, "width": settings.width}
    defaults = {field.name: field.default for field in fields(Settings)}
    changed = {key: str(value) for key, value in options.items() if value != defaults[key]}
    return Reference("seeded", name, options={**changed, "pretrained": "false"})


def _preprocess(settings: Settings) -> Preprocess:
    return {
        "channels": settings.channels,
        "height": settings.size,
        "width": settings.size,
        "crop": 1.0,
        "crop_mode": "center",
        "interpolation": "bilinear",
        "mean": [0.5] * settings.channels,
        "std": [0.5] * settings.channels,
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

    def __init__(self, settings: Settings, width: int) -> None:
        super().__init__()
        self.size = settings.size
        self.patches = nn.Conv2d(settings.channels, width, _PATCH, _PATCH)
        self.positions = nn.Parameter(torch.randn(1, (settings.size // _PATCH) ** 2, width) * 0.02)

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

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        width = settings.width * 4
        self.size = settings.size
        self.embedding = _Embedding(settings, width)
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


Given = Mapping[str, nn.Module] | None


def _convnet(settings: Settings) -> tuple[nn.Module, Given]:
    width = settings.width
    steps: list[tuple[int, int, int]] = [
        (settings.channels, width, 1),
        (width, width * 2, 2),
        (width * 2, width * 4, 2),
        (width * 4, width * 4, 1),
    ]
    return _chain(_convolution(*step) for step in steps), None


def _residual(settings: Settings) -> tuple[nn.Module, Given]:
    width = settings.width
    steps = [(width, width, 1), (width, width * 2, 2), (width * 2, width * 4, 2)]
    blocks: list[nn.Module] = [_Residual(*step) for step in steps]
    return _chain([_convolution(settings.channels, width), *blocks]), None


def _chain(blocks: Iterable[nn.Module]) -> nn.Module:
    named: dict[str, Any] = {f"block{number + 1}": block for number, block in enumerate(blocks)}
    return nn.Sequential(OrderedDict(named, pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten()))


def _vit(settings: Settings) -> tuple[nn.Module, Given]:
    network = _Transformer(settings)
    children = dict(network.named_children())
    stages = {
        name: nn.Sequential(OrderedDict({name: child}))
        for name, child in children.items()
        if name != "pool"
    }
    last = list(stages)[-1]
    stages[last] = nn.Sequential(OrderedDict({last: children[last], "pool": children["pool"]}))
    return network, stages


_NETWORKS: Final[Mapping[str, Callable[[Settings], tuple[nn.Module, Given]]]] = {
    "convnet": _convnet,
    "residual": _residual,
    "vit": _vit,
}
