"""Layers without weights, each as a module of torch; activations by their name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from torch import Tensor, nn

from headstart.errors import HeadstartError
from headstart.hubs.keras import modules
from headstart.hubs.keras.functions import function
from headstart.hubs.keras.variables import Made
from headstart.hubs.keras.windows import borders, channels_last, edges, pair, symmetric
from headstart.loading.layer_graph import Concat, Merge

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
    given = config.get("activation") or "linear"
    if isinstance(given, Mapping):
        inner = given.get("config")
        given = inner if isinstance(inner, str) else given.get("class_name") or inner
    return str(given)


def activation(name: str, values: Tensor) -> nn.Module:
    """The module of an activation. Raises HeadstartError for one that is not known."""
    if name not in _ACTIVATIONS:
        raise HeadstartError(f"activation={name} is not known")
    if name in SOFTMAX and values.dim() == 3:  # channels are last there
        raise HeadstartError(f"activation={name} over a sequence is not known")
    return _ACTIVATIONS[name]()


def _activation(config: Config, inputs: Sequence[Tensor]) -> nn.Module:
    return activation(activation_name(config), inputs[0])


def _relu(config: Config, inputs: Sequence[Tensor]) -> nn.Module:
    top, slope = config.get("max_value"), config.get("negative_slope") or 0.0
    if config.get("threshold") or (top is not None and slope):
        raise HeadstartError("threshold, or max_value with negative_slope, is not known")
    if top is not None:
        return nn.Hardtanh(0.0, float(top))
    return nn.LeakyReLU(float(slope)) if slope else nn.ReLU()


def _leaky(config: Config, inputs: Sequence[Tensor]) -> nn.Module:
    given = config.get("negative_slope", config.get("alpha"))
    return nn.LeakyReLU(0.3 if given is None else float(given))


def _elu(config: Config, inputs: Sequence[Tensor]) -> nn.Module:
    return nn.ELU(float(config.get("alpha", 1.0)))


def _softmax(config: Config, inputs: Sequence[Tensor]) -> nn.Module:
    dimension = _dimension(config.get("axis", -1), inputs[0])
    return nn.Softmax(dimension)


def _max_pool(config: Config, inputs: Sequence[Tensor]) -> nn.Module:
    window, steps, around = _window(config, inputs[0])
    padding = symmetric(around)
    if padding is None:
        return modules.PaddedMaxPool2d(window, steps, around)
    return nn.MaxPool2d(window, steps, padding)


def _average_pool(config: Config, inputs: Sequence[Tensor]) -> nn.Module:
    window, steps, around = _window(config, inputs[0])
    padding = symmetric(around)
    if padding is None:
        return modules.PaddedAvgPool2d(window, steps, around, inputs[0].shape[2:])
    return nn.AvgPool2d(window, steps, padding, count_include_pad=False)


def _window(config: Config, maps: Tensor) -> tuple[tuple[int, int], tuple[int, int], modules.Edges]:
    channels_last(config)
    window = pair(config["pool_size"])
    steps = pair(config.get("strides") or window)
    return window, steps, edges(config, maps, window, steps)


def _global_pool(greatest: bool, config: Config, inputs: Sequence[Tensor]) -> nn.Module:
    channels_last(config)
    return modules.GlobalPool2d(greatest, bool(config.get("keepdims", False)))


def _zero_pad(config: Config, inputs: Sequence[Tensor]) -> nn.Module:
    channels_last(config)
    return nn.ZeroPad2d(borders(config["padding"]))


def _crop(config: Config, inputs: Sequence[Tensor]) -> nn.Module:
    channels_last(config)
    return modules.Crop(borders(config["cropping"]))


def _up(config: Config, inputs: Sequence[Tensor]) -> nn.Module:
    channels_last(config)
    mode = config.get("interpolation", "nearest")
    if mode not in ("nearest", "bilinear"):
        raise HeadstartError(f"interpolation={mode} is not known")
    height, width = pair(config["size"])
    return nn.Upsample(scale_factor=(float(height), float(width)), mode=mode)


def _flatten(config: Config, inputs: Sequence[Tensor]) -> nn.Module:
    channels_last(config)
    return modules.Reshape((inputs[0][0].numel(),))


def _reshape(config: Config, inputs: Sequence[Tensor]) -> nn.Module:
    shape = [int(side) for side in config["target_shape"]]
    known = 1
    for side in shape:
        known *= side if side != -1 else 1
    return modules.Reshape([inputs[0][0].numel() // known if s == -1 else s for s in shape])


def _dropout(kind: type[nn.Module], config: Config, inputs: Sequence[Tensor]) -> nn.Module:
    if config.get("noise_shape") and any(side != 1 for side in config["noise_shape"][1:]):
        raise HeadstartError("noise_shape is not known")
    if config.get("noise_shape"):  # EfficientNet of Keras 2: whole items at once
        return modules.DropPath(float(config["rate"]))
    return kind(float(config["rate"]))


def _drop_path(config: Config, inputs: Sequence[Tensor]) -> nn.Module:
    return modules.DropPath(float(config["drop_path_rate"]))


def _rescaling(config: Config, inputs: Sequence[Tensor]) -> nn.Module:
    return modules.Affine(config["scale"], config.get("offset", 0.0))


def _merge(kind: str, config: Config, inputs: Sequence[Tensor]) -> nn.Module:
    if len({tensor.dim() for tensor in inputs}) > 1:
        raise HeadstartError("it reads tensors of different rank")
    return Merge(kind.lower())


def _concatenate(config: Config, inputs: Sequence[Tensor]) -> nn.Module:
    return Concat(_dimension(config.get("axis", -1), inputs[0]))


def _scaled_residual(config: Config, inputs: Sequence[Tensor]) -> nn.Module:
    return modules.ScaledResidual(float(config["scale"]))


def _nothing(config: Config, inputs: Sequence[Tensor]) -> nn.Module:
    return nn.Identity()


_WEIGHTLESS: Final[Mapping[str, Maker]] = {
    "Activation": _activation,
    "ActivityRegularization": _nothing,
    "AlphaDropout": partial(_dropout, nn.AlphaDropout),
    "AveragePooling2D": _average_pool,
    "Concatenate": _concatenate,
    "Cropping2D": _crop,
    "CustomScaleLayer": _scaled_residual,
    "Dropout": partial(_dropout, nn.Dropout),
    "ELU": _elu,
    "FixedDropout": partial(_dropout, nn.Dropout),
    "Flatten": _flatten,
    "GlobalAveragePooling2D": partial(_global_pool, False),
    "GlobalMaxPooling2D": partial(_global_pool, True),
    "LeakyReLU": _leaky,
    "MaxPooling2D": _max_pool,
    "ReLU": _relu,
    "Rescaling": _rescaling,
    "Reshape": _reshape,
    "Softmax": _softmax,
    "SpatialDropout2D": partial(_dropout, nn.Dropout2d),
    "StochasticDepth": _drop_path,
    "UpSampling2D": _up,
    "ZeroPadding2D": _zero_pad,
}
_MERGES: Final = ("Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract")
_AUGMENTING: Final = (  # the usual ones that do nothing; Keras is asked about any other
    *("RandomBrightness", "RandomContrast", "RandomFlip", "RandomRotation"),
    *("RandomTranslation", "RandomZoom", "GaussianNoise"),
)
WEIGHTLESS: Final[Mapping[str, Maker]] = {
    **_WEIGHTLESS,
    **{kind: partial(_merge, kind) for kind in _MERGES},
    **{kind: _nothing for kind in _AUGMENTING},
}


def made(kind: str, config: Config, inputs: Sequence[Tensor]) -> Made:
    """A layer without weights. Raises HeadstartError for settings that are not known."""
    found = function(kind, config, inputs)
    return Made(WEIGHTLESS[kind](config, inputs) if found is None else found)


def _dimension(axis: Any, values: Tensor) -> int:
    """Where torch has what Keras calls this axis."""
    given = int(axis) % values.dim()
    return {0: 0, 1: 2, 2: 3, 3: 1}[given] if values.dim() == 4 else given
