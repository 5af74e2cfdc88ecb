"""A layer's variables as Keras shapes them, as torch wants them, and as they are first drawn."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, final

import torch
from torch import Tensor, nn

_CUT: Final = 0.87962566103423978  # what cutting a normal at two deviations leaves of its own
_SCALED: Final = {  # by name: scale, fan and distribution of Keras' VarianceScaling
    "glorotuniform": (1.0, "fan_avg", "uniform"),
    "glorotnormal": (1.0, "fan_avg", "truncated_normal"),
    "heuniform": (2.0, "fan_in", "uniform"),
    "henormal": (2.0, "fan_in", "truncated_normal"),
    "lecununiform": (1.0, "fan_in", "uniform"),
    "lecunnormal": (1.0, "fan_in", "truncated_normal"),
}


def same(values: Tensor) -> Tensor:
    """As it is."""
    return values


def single(values: Tensor) -> Tensor:
    """A number as a row of one."""
    return values.reshape(1)


def kernel(values: Tensor) -> Tensor:
    """A convolution's: (height, width, in, out) to (out, in, height, width)."""
    return values.permute(3, 2, 0, 1)


def depthwise(values: Tensor) -> Tensor:
    """One that treats each channel alone: (height, width, in, times) to (in · times, 1, …)."""
    return values.permute(2, 3, 0, 1).flatten(0, 1).unsqueeze(1)


def matrix(values: Tensor) -> Tensor:
    """A dense layer's: (in, out) to (out, in)."""
    return values.T


def pointwise(values: Tensor) -> Tensor:
    """A dense layer's over maps: (in, out) to (out, in, 1, 1)."""
    return values.T[:, :, None, None]


def maps(values: Tensor) -> Tensor:
    """One number a position: (height, width, channels) to (channels, height, width)."""
    return values.permute(2, 0, 1)


@final
@dataclass(frozen=True)
class Variable:
    """One variable of a layer, in Keras' order."""

    name: str
    target: str  # what torch calls it inside the module
    shape: tuple[int, ...]  # as Keras has it
    to_torch: Callable[[Tensor], Tensor] = same
    initial: Any = "zeros"  # Keras' own description of how it is first drawn

    def initial_values(self) -> Tensor:
        """First values, from torch's global random state, as torch wants them."""
        return self.to_torch(draw(self.initial, self.shape))


@final
@dataclass(frozen=True)
class TorchLayer:
    """A module that computes what a layer does, and the variables that fill it."""

    module: nn.Module
    variables: Sequence[Variable] = field(default=())


def draw(initial: Any, shape: tuple[int, ...]) -> Tensor:
    """A tensor by the name or the description of an initialiser of Keras.

    One that is not known here draws as Keras does by default: Glorot and Bengio 2010, uniform.
    """
    entry = initial if isinstance(initial, Mapping) else {"class_name": initial}
    kind = str(entry["class_name"]).replace("_", "").lower()
    config: Mapping[str, Any] = entry.get("config") or {}
    if kind in ("zeros", "ones"):
        return torch.full(shape, float(kind == "ones"))
    if kind == "constant":
        return torch.full(shape, float(config.get("value", 0.0)))
    if kind in ("randomnormal", "truncatednormal"):
        deviation = float(config.get("stddev", 0.05))
        values = _normal(shape, deviation, kind == "truncatednormal")
        return values + float(config.get("mean", 0.0))
    if kind == "randomuniform":
        low, high = float(config.get("minval", -0.05)), float(config.get("maxval", 0.05))
        return torch.rand(shape) * (high - low) + low
    if kind == "orthogonal":
        return nn.init.orthogonal_(torch.empty(shape), float(config.get("gain", 1.0)))
    rule = tuple(config.get(name) for name in ("scale", "mode", "distribution"))
    if kind != "variancescaling" or None in rule:
        rule = _SCALED.get(kind, _SCALED["glorotuniform"])
    return _scaled(shape, *rule)


def _scaled(shape: tuple[int, ...], scale: float, mode: str, distribution: str) -> Tensor:
    positions = math.prod(shape[:-2])
    ends = shape[-2:] if len(shape) > 1 else (shape[0], shape[0])
    fan_in, fan_out = (positions * end for end in ends)
    fan = {"fan_in": fan_in, "fan_out": fan_out}.get(mode, (fan_in + fan_out) / 2)
    variance = scale / max(1.0, fan)
    if distribution == "uniform":
        limit = math.sqrt(3.0 * variance)
        return torch.rand(shape) * 2 * limit - limit
    whole = distribution == "untruncated_normal"
    return _normal(shape, math.sqrt(variance) / (1.0 if whole else _CUT), not whole)


def _normal(shape: tuple[int, ...], deviation: float, cut: bool) -> Tensor:
    if not cut:
        return torch.randn(shape) * deviation
    return nn.init.trunc_normal_(torch.empty(shape), 0.0, deviation, -2 * deviation, 2 * deviation)
