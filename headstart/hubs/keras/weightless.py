"""Layers without weights, each as a module of torch; activations by their name."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from torch import Tensor, nn

from headstart.errors import HeadstartError
from headstart.hubs.keras.functions import function
from headstart.hubs.keras.modules import (
    Affine,
    DropPath,
    GlobalPool2d,
    PaddedAvgPool2d,
    borders,
    edges,
    pair,
    symmetric,
)
from headstart.loading.layer_graph import MERGES, Concat, Edges, Merge, PaddedPool, Reshape

Config = Mapping[str, Any]
Maker = Callable[[Config, Sequence[Tensor]], nn.Module]
SOFTMAX: Final = ("softmax", "log_softmax")
LINEAR: Final = ("linear", "None")
_ACTIVATIONS: Final[Mapping[str, Callable[[], nn.Module]]] = {
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "hard_sigmoid": nn.Hardsigmoid,
    "hard_silu": nn.Hardswish,
    "hard_swish": nn.Hardswish,
    "leaky_relu": partial(nn.LeakyReLU, 0.2),
    "linear": nn.Identity,
    "log_softmax": partial(nn.LogSoftmax, 1),
    "mish": nn.Mish,
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "selu": nn.SELU,
    "sigmoid": nn.Sigmoid,
    "silu": nn.SiLU,
    "softmax": partial(nn.Softmax, 1),
    "softplus": nn.Softplus,
    "softsign": nn.Softsign,
    "swish": nn.SiLU,
    "tanh": nn.Tanh,
}


def activation_name(config: Config) -> str:
    """The name of the function that a layer ends with, `linear` where there is none."""
    name = config.get("activation") or "linear"
    if isinstance(name, Mapping):
        inner = name.get("config")
        name = inner if isinstance(inner, str) else name.get("class_name") or inner
    return str(name)


def activation(name: str, values: Tensor) -> nn.Module:
    """The module of an activation. Raises HeadstartError for one that is not known."""
    if name not in _ACTIVATIONS:
        raise HeadstartError(f"activation={name} is not known")
    if name in SOFTMAX and values.dim() == 3:  # channels are last there
        raise HeadstartError(f"activation={name} over a sequence is not known")
    return _ACTIVATIONS[name]()


def _relu(config: Config, inputs: Sequence[Tensor]) -> nn.Module:
    top, slope = config.get("max_value"), config.get("negative_slope") or 0.0
    if config.get("threshold") or (top is not None and slope):
        raise HeadstartError("threshold, or max_value with negative_slope, is not known")
    if top is not None:
        return nn.Hardtanh(0.0, float(top))
    return nn.LeakyReLU(float(slope)) if slope else nn.ReLU()


def _leaky(config: Config, inputs: Sequence[Tensor]) -> nn.Module:
    slope = config.get("negative_slope", config.get("alpha"))
    return nn.LeakyReLU(0.3 if slope is None else float(slope))


def _max_pool(config: Config, inputs: Sequence[Tensor]) -> nn.Module:
    window, steps, around = _window(config, inputs[0])
    padding = symmetric(around)
    if padding is None:
        return PaddedPool(nn.MaxPool2d(window, steps), around, -math.inf)
    return nn.MaxPool2d(window, steps, padding)


def _average_pool(config: Config, inputs: Sequence[Tensor]) -> nn.Module:
    window, steps, around = _window(config, inputs[0])
    padding = symmetric(around)
    if padding is None:
        return PaddedAvgPool2d(window, steps, around, inputs[0].shape[2:])
    return nn.AvgPool2d(window, steps, padding, count_include_pad=False)


def _window(config: Config, maps: Tensor) -> tuple[tuple[int, int], tuple[int, int], Edges]:
    window = pair(config["pool_size"])
    steps = pair(config.get("strides") or window)
    return window, steps, edges(config, maps, window, steps)


def _crop(config: Config, inputs: Sequence[Tensor]) -> nn.Module:
    left, right, top, bottom = borders(config["cropping"])
    return nn.ZeroPad2d((-left, -right, -top, -bottom))


def _up(config: Config, inputs: Sequence[Tensor]) -> nn.Module:
    mode = config.get("interpolation", "nearest")
    if mode not in ("nearest", "bilinear"):
        raise HeadstartError(f"interpolation={mode} is not known")
    height, width = pair(config["size"])
    return nn.Upsample(scale_factor=(float(height), float(width)), mode=mode)


def _reshape(config: Config, inputs: Sequence[Tensor]) -> nn.Module:
    shape = [int(side) for side in config["target_shape"]]
    rest = inputs[0][0].numel() // abs(math.prod(shape))
    return Reshape([rest if side == -1 else side for side in shape], last=True)


def _dropout(kind: type[nn.Module], config: Config, inputs: Sequence[Tensor]) -> nn.Module:
    if config.get("noise_shape") and any(side != 1 for side in config["noise_shape"][1:]):
        raise HeadstartError("noise_shape is not known")
    if config.get("noise_shape"):  # EfficientNet of Keras 2: whole items at once
        return DropPath(float(config["rate"]))
    return kind(float(config["rate"]))


def _merge(kind: str, config: Config, inputs: Sequence[Tensor]) -> nn.Module:
    if len({tensor.dim() for tensor in inputs}) > 1:
        raise HeadstartError("it reads tensors of different rank")
    return Merge(kind.lower())


_MERGES: Final = frozenset(map(str.capitalize, MERGES))
_IDLE: Final = (  # the usual ones that do nothing; Keras is asked about any other
    *("ActivityRegularization", "RandomBrightness", "RandomContrast", "RandomFlip"),
    *("RandomRotation", "RandomTranslation", "RandomZoom", "GaussianNoise"),
)
WEIGHTLESS: Final[Mapping[str, Maker]] = {
    "Activation": lambda config, inputs: activation(activation_name(config), inputs[0]),
    "AlphaDropout": partial(_dropout, nn.AlphaDropout),
    "AveragePooling2D": _average_pool,
    "Concatenate": lambda config, inputs: Concat(_dimension(config.get("axis", -1), inputs[0])),
    "Cropping2D": _crop,
    "CustomScaleLayer": lambda config, _: Merge("add", (1.0, float(config["scale"]))),
    "Dropout": partial(_dropout, nn.Dropout),
    "ELU": lambda config, _: nn.ELU(float(config.get("alpha", 1.0))),
    "FixedDropout": partial(_dropout, nn.Dropout),
    "Flatten": lambda config, inputs: Reshape((inputs[0][0].numel(),), last=True),
    "GlobalAveragePooling2D": lambda config, _: GlobalPool2d(False, bool(config.get("keepdims"))),
    "GlobalMaxPooling2D": lambda config, _: GlobalPool2d(True, bool(config.get("keepdims"))),
    "LeakyReLU": _leaky,
    "MaxPooling2D": _max_pool,
    "ReLU": _relu,
    "Rescaling": lambda config, _: Affine(config["scale"], config.get("offset", 0.0)),
    "Reshape": _reshape,
    "Softmax": lambda config, inputs: nn.Softmax(_dimension(config.get("axis", -1), inputs[0])),
    "SpatialDropout2D": partial(_dropout, nn.Dropout2d),
    "StochasticDepth": lambda config, _: DropPath(float(config["drop_path_rate"])),
    "UpSampling2D": _up,
    "ZeroPadding2D": lambda config, _: nn.ZeroPad2d(borders(config["padding"])),
    **{kind: partial(_merge, kind) for kind in _MERGES},
    **{kind: lambda config, inputs: nn.Identity() for kind in _IDLE},
}


def weightless(kind: str, config: Config, inputs: Sequence[Tensor]) -> nn.Module:
    """A layer without weights. Raises HeadstartError for settings that are not known."""
    module = function(kind, config, inputs)
    return WEIGHTLESS[kind](config, inputs) if module is None else module


def _dimension(axis: Any, values: Tensor) -> int:
    """Where torch has what Keras calls this axis."""
    place = int(axis) % values.dim()
    return (0, 2, 3, 1)[place] if values.dim() == 4 else place
