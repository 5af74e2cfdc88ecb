"""Layers with weights, each as a module of torch and the variables that fill it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from torch import Tensor, nn

from headstart.errors import HeadstartError
from headstart.hubs.keras import variables
from headstart.hubs.keras.modules import (
    ChannelNorm,
    PaddedConv2d,
    ParametricReLU,
    Scale,
    Standardise,
    edges,
    pair,
    symmetric,
)
from headstart.hubs.keras.variables import TorchLayer, Variable

Config = Mapping[str, Any]
Maker = Callable[[Config, Sequence[Tensor]], TorchLayer]
Module = TypeVar("Module", bound=nn.Module)
_MOST: Final = 1 << 31


def _convolution(config: Config, inputs: Sequence[Tensor]) -> TorchLayer:
    (maps,) = inputs
    out, groups = int(config["filters"]), int(config.get("groups", 1))
    shape = (*pair(config["kernel_size"]), maps.shape[1] // groups, out)
    kernel = _variable(config, "kernel", "weight", shape, variables.kernel)
    return TorchLayer(_conv(config, maps, out, groups), [kernel, *_bias(config, out)])


def _depthwise(config: Config, inputs: Sequence[Tensor]) -> TorchLayer:
    (maps,) = inputs
    wide = maps.shape[1] * _times(config)
    kernel = _depthwise_kernel(config, maps, "weight")
    return TorchLayer(_conv(config, maps, wide, maps.shape[1]), [kernel, *_bias(config, wide)])


def _separable(config: Config, inputs: Sequence[Tensor]) -> TorchLayer:
    (maps,) = inputs
    wide, out = maps.shape[1] * _times(config), int(config["filters"])
    each = _conv({**config, "use_bias": False}, maps, wide, maps.shape[1])
    together = _empty(nn.Conv2d, wide, out, 1, bias=_has(config, "use_bias"))
    first = _depthwise_kernel(config, maps, "0.weight")
    shape = (1, 1, wide, out)
    second = _variable(config, "pointwise_kernel", "1.weight", shape, variables.kernel)
    bias = _bias(config, out, "1.bias")
    return TorchLayer(nn.Sequential(each, together), [first, second, *bias])


def _depthwise_kernel(config: Config, maps: Tensor, target: str) -> Variable:
    shape = (*pair(config["kernel_size"]), maps.shape[1], _times(config))
    return _variable(config, "depthwise_kernel", target, shape, variables.depthwise)


def _conv(config: Config, maps: Tensor, out: int, groups: int) -> nn.Conv2d:
    if maps.dim() != 4:
        raise HeadstartError("it reads no maps")
    size, steps = pair(config["kernel_size"]), pair(config.get("strides", 1))
    around = edges(config, maps, size, steps)
    padding = symmetric(around)
    module: nn.Conv2d = _empty(
        nn.Conv2d if padding is not None else PaddedConv2d,
        maps.shape[1],
        out,
        size,
        stride=steps,
        padding=padding or 0,
        dilation=pair(config.get("dilation_rate", 1)),
        groups=groups,
        bias=_has(config, "use_bias"),
    )
    if isinstance(module, PaddedConv2d):
        module.edges = around
    return module


def _dense(config: Config, inputs: Sequence[Tensor]) -> TorchLayer:
    (values,) = inputs
    out, bias, is_map = int(config["units"]), _has(config, "use_bias"), values.dim() == 4
    width = values.shape[1 if is_map else -1]
    kind, sides = (nn.Conv2d, (1,)) if is_map else (nn.Linear, ())
    to_torch = variables.pointwise if is_map else variables.matrix
    kernel = _variable(config, "kernel", "weight", (width, out), to_torch)
    module: nn.Module = _empty(kind, width, out, *sides, bias=bias)
    return TorchLayer(module, [kernel, *_bias(config, out)])


def _batch_norm(config: Config, inputs: Sequence[Tensor]) -> TorchLayer:
    (values,) = inputs
    width, is_map = _width(config, values), values.dim() == 4
    if values.dim() == 3:  # torch has its channels elsewhere
        raise HeadstartError("it normalises a sequence")
    kind = nn.BatchNorm2d if is_map else nn.BatchNorm1d
    momentum = 1.0 - float(config.get("momentum", 0.99))
    mean = Variable("moving_mean", "running_mean", (width,))
    variance = Variable("moving_variance", "running_var", (width,), initial="ones")
    module = kind(width, eps=float(config["epsilon"]), momentum=momentum)
    return TorchLayer(module, [*_gains(config, width), mean, variance])


def _layer_norm(config: Config, inputs: Sequence[Tensor]) -> TorchLayer:
    (values,) = inputs
    if config.get("rms_scaling"):
        raise HeadstartError("rms_scaling is not known")
    width = _width(config, values)
    kind = ChannelNorm if values.dim() == 4 else nn.LayerNorm
    return TorchLayer(kind(width, eps=float(config["epsilon"])), _gains(config, width))


def _group_norm(config: Config, inputs: Sequence[Tensor]) -> TorchLayer:
    (values,) = inputs
    width = _width(config, values)
    groups = int(config["groups"])
    module = nn.GroupNorm(width if groups == -1 else groups, width, eps=float(config["epsilon"]))
    return TorchLayer(module, _gains(config, width))


def _normalization(config: Config, inputs: Sequence[Tensor]) -> TorchLayer:
    (values,) = inputs
    whole = config.get("axis", -1) in (None, [], ())  # one mean for all numbers
    width = 1 if whole else _width(config, values)
    mean, variance = (_numbers(config.get(name), width) for name in ("mean", "variance"))
    module = Standardise(width, mean, variance, bool(config.get("invert")))
    if mean is not None and variance is not None:
        return TorchLayer(module)
    shape, to_torch = ((), variables.single) if whole else ((width,), variables.same)
    second = Variable("variance", "variance", shape, to_torch, initial="ones")
    return TorchLayer(module, [Variable("mean", "mean", shape, to_torch), second])


def _parametric_relu(config: Config, inputs: Sequence[Tensor]) -> TorchLayer:
    (values,) = inputs
    is_map = values.dim() == 4
    sides = values.permute(0, 2, 3, 1).shape[1:] if is_map else values.shape[1:]
    shared = config.get("shared_axes") or ()
    shape = tuple(1 if n in shared else side for n, side in enumerate(sides, start=1))
    to_torch = variables.maps if is_map else variables.same
    own = (shape[2], *shape[:2]) if is_map else shape
    alpha = _variable(config, "alpha", "alpha", shape, to_torch, "zeros")
    return TorchLayer(ParametricReLU(own), [alpha])


def _layer_scale(config: Config, inputs: Sequence[Tensor]) -> TorchLayer:
    (values,) = inputs
    width = int(config["projection_dim"])
    initial = {"class_name": "Constant", "config": {"value": config["init_values"]}}
    gamma = Variable("gamma", "gamma", (width,), initial=initial)
    return TorchLayer(Scale(width, values.dim() == 4), [gamma])


WEIGHTED: Final[Mapping[str, Maker]] = {
    "BatchNormalization": _batch_norm,
    "BatchNormalizationV1": _batch_norm,
    "BatchNormalizationV2": _batch_norm,
    "Conv2D": _convolution,
    "Dense": _dense,
    "DepthwiseConv2D": _depthwise,
    "GroupNormalization": _group_norm,
    "LayerNormalization": _layer_norm,
    "LayerScale": _layer_scale,
    "Normalization": _normalization,
    "PReLU": _parametric_relu,
    "SeparableConv2D": _separable,
}


def _empty(kind: Callable[..., Module], *sizes: Any, **settings: Any) -> Module:
    """A module whose weights are yet to be set. Raises HeadstartError for more than 8 GiB."""
    module = kind(*sizes, **settings, device="meta")
    count = sum(tensor.numel() for tensor in module.parameters())
    if count > _MOST:
        raise HeadstartError(f"it has {count:,} weights")
    return module.to_empty(device="cpu")


def _gains(config: Config, width: int) -> list[Variable]:
    """A norm's factor and summand, of those that it has; the others stay 1 and 0."""
    kinds = (("scale", "gamma", "weight", "ones"), ("center", "beta", "bias", "zeros"))
    return [
        _variable(config, name, target, (width,), usual=usual)
        for switch, name, target, usual in kinds
        if _has(config, switch)
    ]


def _bias(config: Config, width: int, target: str = "bias") -> list[Variable]:
    bias = _variable(config, "bias", target, (width,), usual="zeros")
    return [bias] if _has(config, "use_bias") else []


def _has(config: Config, switch: str) -> bool:
    return bool(config.get(switch, True))


def _times(config: Config) -> int:
    return int(config.get("depth_multiplier", 1))


def _variable(
    config: Config,
    name: str,
    target: str,
    shape: tuple[int, ...],
    to_torch: Callable[[Tensor], Tensor] = variables.same,
    usual: str = "glorot_uniform",
) -> Variable:
    """A variable that begins as the layer says, or else as is usual for its kind."""
    initial = config.get(f"{name.removesuffix('_kernel')}_initializer") or usual
    return Variable(name, target, shape, to_torch, initial)


def _width(config: Config, values: Tensor) -> int:
    """How many channels a norm sees. Raises HeadstartError where it looks at anything else."""
    axis = config.get("axis", -1)
    axes = list(axis) if isinstance(axis, Sequence) else [axis]
    if axes not in ([-1], [values.dim() - 1]):
        raise HeadstartError(f"axis={axis} is not that of the channels")
    return int(values.shape[1 if values.dim() == 4 else -1])


def _numbers(value: Any, width: int) -> list[float] | None:
    while isinstance(value, list) and len(value) == 1 and isinstance(value[0], list):
        value = value[0]
    if value is None:
        return None
    numbers = [float(v) for v in value] if isinstance(value, list) else [float(value)]
    return numbers * width if len(numbers) == 1 else numbers
