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
)
from headstart.hubs.keras.variables import Made, Variable
from headstart.hubs.keras.windows import channels_last, edges, pair, symmetric

Config = Mapping[str, Any]
Maker = Callable[[Config, Sequence[Tensor]], Made]
Module = TypeVar("Module", bound=nn.Module)
_MOST: Final = 1 << 31
_GLOROT: Final = "glorot_uniform"


def _convolution(config: Config, inputs: Sequence[Tensor]) -> Made:
    (maps,) = inputs
    size, out, groups = (
        pair(config["kernel_size"]),
        int(config["filters"]),
        int(config.get("groups", 1)),
    )
    module = _conv(config, maps, size, out, groups)
    shape = (*size, maps.shape[1] // groups, out)
    first = Variable("kernel", "weight", shape, variables.kernel, _first(config, "kernel"))
    return Made(module, [first, *_bias(config, out)])


def _depthwise(config: Config, inputs: Sequence[Tensor]) -> Made:
    (maps,) = inputs
    size, channels, times = pair(config["kernel_size"]), maps.shape[1], _times(config)
    module = _conv(config, maps, size, channels * times, channels)
    return Made(
        module,
        [_depthwise_kernel(config, size, channels, "weight"), *_bias(config, channels * times)],
    )


def _separable(config: Config, inputs: Sequence[Tensor]) -> Made:
    (maps,) = inputs
    size, channels, out = pair(config["kernel_size"]), maps.shape[1], int(config["filters"])
    wide = channels * _times(config)
    each = _conv({**config, "use_bias": False}, maps, size, wide, channels)
    together = _empty(nn.Conv2d, wide, out, 1, bias=_has(config, "use_bias"))
    second = Variable(
        "pointwise_kernel",
        "1.weight",
        (1, 1, wide, out),
        variables.kernel,
        _first(config, "pointwise"),
    )
    first = _depthwise_kernel(config, size, channels, "0.weight")
    return Made(nn.Sequential(each, together), [first, second, *_bias(config, out, "1.bias")])


def _depthwise_kernel(config: Config, size: tuple[int, int], channels: int, to: str) -> Variable:
    shape = (*size, channels, _times(config))
    drawn = _first(config, "depthwise")
    return Variable("depthwise_kernel", to, shape, variables.depthwise, drawn)


def _conv(config: Config, maps: Tensor, size: tuple[int, int], out: int, groups: int) -> nn.Conv2d:
    channels_last(config)
    if maps.dim() != 4:
        raise HeadstartError("it reads no maps")
    steps = pair(config.get("strides", 1))
    around = edges(config, maps, size, steps)
    padding = symmetric(around)
    made: nn.Conv2d = _empty(
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
    if isinstance(made, PaddedConv2d):
        made.edges = around
    return made


def _dense(config: Config, inputs: Sequence[Tensor]) -> Made:
    (values,) = inputs
    out, bias, is_map = int(config["units"]), _has(config, "use_bias"), values.dim() == 4
    width = values.shape[1 if is_map else -1]
    module: nn.Module = (
        _empty(nn.Conv2d, width, out, 1, bias=bias)
        if is_map
        else _empty(nn.Linear, width, out, bias=bias)
    )
    turned = variables.pointwise if is_map else variables.matrix
    first = Variable("kernel", "weight", (width, out), turned, _first(config, "kernel"))
    return Made(module, [first, *_bias(config, out)])


def _batch_norm(config: Config, inputs: Sequence[Tensor]) -> Made:
    (values,) = inputs
    width, is_map = _width(config, values), values.dim() == 4
    if values.dim() == 3:  # torch has its channels elsewhere
        raise HeadstartError("it normalises a sequence")
    kind = nn.BatchNorm2d if is_map else nn.BatchNorm1d
    module = kind(
        width, eps=float(config["epsilon"]), momentum=1.0 - float(config.get("momentum", 0.99))
    )
    return Made(
        module,
        [
            *_gains(config, width),
            Variable("moving_mean", "running_mean", (width,)),
            Variable("moving_variance", "running_var", (width,), initial="ones"),
        ],
    )


def _layer_norm(config: Config, inputs: Sequence[Tensor]) -> Made:
    (values,) = inputs
    if config.get("rms_scaling"):
        raise HeadstartError("rms_scaling is not known")
    width = _width(config, values)
    kind = ChannelNorm if values.dim() == 4 else nn.LayerNorm
    return Made(kind(width, eps=float(config["epsilon"])), _gains(config, width))


def _group_norm(config: Config, inputs: Sequence[Tensor]) -> Made:
    (values,) = inputs
    width = _width(config, values)
    groups = int(config["groups"])
    module = nn.GroupNorm(width if groups == -1 else groups, width, eps=float(config["epsilon"]))
    return Made(module, _gains(config, width))


def _normalization(config: Config, inputs: Sequence[Tensor]) -> Made:
    (values,) = inputs
    whole = config.get("axis", -1) in (None, [], ())  # one mean for all numbers
    width = 1 if whole else _width(config, values)
    mean, variance = (_numbers(config.get(name), width) for name in ("mean", "variance"))
    module = Standardise(width, mean, variance, bool(config.get("invert")))
    if mean is not None and variance is not None:
        return Made(module)
    shape, turned = ((), variables.single) if whole else ((width,), variables.same)
    found = Variable("variance", "variance", shape, turned, initial="ones")
    return Made(module, [Variable("mean", "mean", shape, turned), found])


def _parametric_relu(config: Config, inputs: Sequence[Tensor]) -> Made:
    (values,) = inputs
    is_map = values.dim() == 4
    sides = values.permute(0, 2, 3, 1).shape[1:] if is_map else values.shape[1:]
    shared = config.get("shared_axes") or ()
    shape = tuple(1 if n in shared else side for n, side in enumerate(sides, start=1))
    turned = variables.maps if is_map else variables.same
    own = (shape[2], *shape[:2]) if is_map else shape
    first = Variable("alpha", "alpha", shape, turned, _first(config, "alpha", "zeros"))
    return Made(ParametricReLU(own), [first])


def _layer_scale(config: Config, inputs: Sequence[Tensor]) -> Made:
    (values,) = inputs
    width = int(config["projection_dim"])
    drawn = {"class_name": "Constant", "config": {"value": config["init_values"]}}
    module = Scale(width, values.dim() == 4)
    return Made(module, [Variable("gamma", "gamma", (width,), initial=drawn)])


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
    held = sum(tensor.numel() for tensor in module.parameters())
    if held > _MOST:
        raise HeadstartError(f"it has {held:,} weights")
    return module.to_empty(device="cpu")


def _gains(config: Config, width: int) -> list[Variable]:
    """A norm's factor and summand, of those that it has; the others stay 1 and 0."""
    kinds = (("scale", "gamma", "weight", "ones"), ("center", "beta", "bias", "zeros"))
    return [
        Variable(name, target, (width,), initial=_first(config, name, usual))
        for switch, name, target, usual in kinds
        if _has(config, switch)
    ]


def _bias(config: Config, width: int, target: str = "bias") -> list[Variable]:
    drawn = _first(config, "bias", "zeros")
    return [Variable("bias", target, (width,), initial=drawn)] if _has(config, "use_bias") else []


def _has(config: Config, switch: str) -> bool:
    return bool(config.get(switch, True))


def _times(config: Config) -> int:
    return int(config.get("depth_multiplier", 1))


def _first(config: Config, name: str, usual: str = _GLOROT) -> Any:
    return config.get(f"{name}_initializer") or usual


def _width(config: Config, values: Tensor) -> int:
    """How many channels a norm sees. Raises HeadstartError where it looks at anything else."""
    given = config.get("axis", -1)
    axes = list(given) if isinstance(given, Sequence) else [given]
    if axes not in ([-1], [values.dim() - 1]):
        raise HeadstartError(f"axis={given} is not that of the channels")
    return int(values.shape[1 if values.dim() == 4 else -1])


def _numbers(value: Any, width: int) -> list[float] | None:
    while isinstance(value, list) and len(value) == 1 and isinstance(value[0], list):
        value = value[0]
    if value is None:
        return None
    found = [float(v) for v in value] if isinstance(value, list) else [float(value)]
    return found * width if len(found) == 1 else found
