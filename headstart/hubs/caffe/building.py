"""Making torch's modules of Caffe's layers, one function a type of layer."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final, final

from torch import nn

from headstart.hubs.caffe import layers
from headstart.loading.layer_graph import Concat, Merge, PaddedPool, Reshape

_MERGES: Final = {"SUM": "add", "PROD": "multiply", "MAX": "maximum"}
Shape = tuple[int, ...]  # of one item, without the batch
Filler = tuple[Any, float | None]  # the description's own, and what is constant without one


class UnsuitableError(Exception):
    """A layer that can't be made of what it says, or of what it is given; the text says why."""


@final
@dataclass(frozen=True)
class TorchLayer:
    """A layer as a module, and what its parameters begin with."""

    module: nn.Module
    fillers: Mapping[str, Filler] = field(default_factory=dict)


def make(layer: Any, shapes: Sequence[Shape]) -> TorchLayer:
    """The module for a layer of a type in TYPES, given inputs of these shapes.

    Raises UnsuitableError where there is none.
    """
    if not shapes:
        raise UnsuitableError("it has no input")
    return TYPES[layer.type](layer, shapes)


def _convolution(layer: Any, shapes: Sequence[Shape]) -> TorchLayer:
    settings = layer.convolution_param
    _demand_axis(settings.axis)
    channels = _map(shapes)[0]
    kind = nn.ConvTranspose2d if layer.type == "Deconvolution" else nn.Conv2d
    module = kind(
        channels,
        settings.num_output,
        window(settings),
        stride=_pair(settings, "stride", settings.stride, 1),
        padding=_pair(settings, "pad", settings.pad, 0),
        dilation=_twice(list(settings.dilation) or [1], "dilation"),
        groups=settings.group,
        bias=settings.bias_term,
    )
    return TorchLayer(module, _weights(settings))


def _inner_product(layer: Any, shapes: Sequence[Shape]) -> TorchLayer:
    settings = layer.inner_product_param
    _demand_axis(settings.axis)
    module = nn.Linear(math.prod(shapes[0]), settings.num_output, settings.bias_term)
    return TorchLayer(module, _weights(settings))


def _pooling(layer: Any, shapes: Sequence[Shape]) -> TorchLayer:
    settings = layer.pooling_param
    method = _name(settings, "pool")
    if method == "STOCHASTIC":
        raise UnsuitableError("stochastic pooling is not supported")
    largest = method == "MAX"
    _, *sides = _map(shapes)
    if settings.global_pooling:
        return TorchLayer(nn.AdaptiveMaxPool2d(1) if largest else nn.AdaptiveAvgPool2d(1))
    size, pad = window(settings), _pair(settings, "pad", settings.pad, 0)
    stride = _pair(settings, "stride", settings.stride, 1)
    kind = nn.MaxPool2d if largest else nn.AvgPool2d
    if not any(pad) or (largest and all(2 * p <= k for p, k in zip(pad, size, strict=True))):
        return TorchLayer(kind(size, stride, pad, ceil_mode=True))
    if any(p >= k for p, k in zip(pad, size, strict=True)):
        raise UnsuitableError("its padding is as large as its window")
    high, wide = (_positions(*each) for each in zip(sides, size, stride, pad, strict=True))
    pool, filling = kind(size, stride, ceil_mode=True), -math.inf if largest else 0.0
    # those are kept whose window begins inside the picture or the padding before it
    edges = pad[1], pad[1], pad[0], pad[0]
    return TorchLayer(PaddedPool(pool, edges, filling, (high, wide)))


def _positions(side: int, size: int, stride: int, pad: int) -> int:
    """How often a window fits, the last one beginning before the picture's end."""
    count = -(-(side + 2 * pad - size) // stride) + 1
    return count - ((count - 1) * stride >= side + pad)


def _response_norm(layer: Any, shapes: Sequence[Shape]) -> TorchLayer:
    settings = layer.lrn_param
    size, alpha, beta = settings.local_size, settings.alpha, settings.beta
    _map(shapes)
    if size % 2 == 0:
        raise UnsuitableError(f"its local_size of {size} is even")
    if _name(settings, "norm_region") == "WITHIN_CHANNEL":
        return TorchLayer(layers.ResponseNormWithin(size, alpha, beta))
    return TorchLayer(nn.LocalResponseNorm(size, alpha, beta, settings.k))


def _batch_norm(layer: Any, shapes: Sequence[Shape]) -> TorchLayer:
    # Torch's own momentum: Caffe's moving average of 0.999 corrects for how it began, which torch's
    # does not, and statistics that start at random weights would hardly move in a short training.
    kind = nn.BatchNorm2d if len(shapes[0]) == 3 else nn.BatchNorm1d
    return TorchLayer(kind(shapes[0][0], eps=layer.batch_norm_param.eps, affine=False))


def _scale(layer: Any, shapes: Sequence[Shape]) -> TorchLayer:
    settings = layer.scale_param
    if len(shapes) == 1:
        return _affine(settings, shapes[0], True, settings.bias_term)
    factors = shapes[1]
    plain = not settings.bias_term and not _axis(settings.axis, shapes[0])
    if not plain or factors != shapes[0][: len(factors)]:
        raise UnsuitableError("it multiplies in a way that is not supported")
    return TorchLayer(layers.ScaledBy(len(shapes[0]) - len(factors)))


def _bias(layer: Any, shapes: Sequence[Shape]) -> TorchLayer:
    if len(shapes) != 1:
        raise UnsuitableError("it has more than one input")
    return _affine(layer.bias_param, shapes[0], False, True)


def _affine(settings: Any, shape: Shape, scales: bool, shifts: bool) -> TorchLayer:
    axis = _axis(settings.axis, shape) - 1
    end = len(shape) if settings.num_axes < 0 else axis + settings.num_axes
    if axis < 0 or end > len(shape):
        raise UnsuitableError("it works along axes that its input lacks, or along items")
    fillers = {"weight" if scales else "bias": _filler(settings, "filler", float(scales))}
    if scales and shifts:
        fillers["bias"] = _filler(settings, "bias_filler", 0.0)
    return TorchLayer(layers.Affine(shape[axis:end], len(shape) - end, scales, shifts), fillers)


def _prelu(layer: Any, shapes: Sequence[Shape]) -> TorchLayer:
    settings = layer.prelu_param
    module = nn.PReLU(1 if settings.channel_shared else shapes[0][0])
    return TorchLayer(module, {"weight": _filler(settings, "filler", 0.25)})


def _relu(layer: Any, _: Sequence[Shape]) -> TorchLayer:
    slope = layer.relu_param.negative_slope
    return TorchLayer(nn.LeakyReLU(slope) if slope else nn.ReLU())


def _power(layer: Any, _: Sequence[Shape]) -> TorchLayer:
    settings = layer.power_param
    return TorchLayer(layers.Power(settings.power, settings.scale, settings.shift))


def _slice(layer: Any, shapes: Sequence[Shape]) -> TorchLayer:
    settings = layer.slice_param
    axis = _along(settings, "slice_dim", shapes[0])
    length, parts = shapes[0][axis - 1], len(layer.top)
    even = [length // parts * number for number in range(1, parts)]
    points = list(settings.slice_point) or even
    edges = [0, *points, length]
    lengths = [end - start for start, end in pairwise(edges)]
    if len(lengths) != parts or min(lengths) < 1 or (points == even and length % parts):
        raise UnsuitableError(f"it can't cut {length} into {parts} parts")
    return TorchLayer(layers.Slice(axis, lengths))


def _eltwise(layer: Any, shapes: Sequence[Shape]) -> TorchLayer:
    settings = layer.eltwise_param
    if settings.coeff and len(settings.coeff) != len(shapes):
        raise UnsuitableError(f"it has {len(settings.coeff)} coefficients")
    operation = _name(settings, "operation")
    factors = settings.coeff if operation == "SUM" else ()
    return TorchLayer(Merge(_MERGES[operation], factors))


def _flatten(layer: Any, shapes: Sequence[Shape]) -> TorchLayer:
    settings = layer.flatten_param
    return TorchLayer(
        nn.Flatten(_inner(settings.axis, shapes[0]), _inner(settings.end_axis, shapes[0]))
    )


def _reshape(layer: Any, shapes: Sequence[Shape]) -> TorchLayer:
    settings, before = layer.reshape_param, (0, *shapes[0])  # 0 stands for the items
    first = settings.axis if settings.axis >= 0 else len(before) + settings.axis + 1
    last = len(before) if settings.num_axes < 0 else first + settings.num_axes
    sizes = [
        before[first + place] if size == 0 and first + place < len(before) else size
        for place, size in enumerate(settings.shape.dim)
    ]
    # the first is the number of items, whatever a description says that it is
    rest = [*before[:first], *sizes, *before[last:]][1:]
    total, product = math.prod(shapes[0]), math.prod(size for size in rest if size != -1)
    if rest.count(-1) > 1 or product < 1 or (total % product if -1 in rest else total != product):
        raise UnsuitableError(f"it can't give an item of {total} numbers the shape {rest}")
    return TorchLayer(Reshape([total // product if size == -1 else size for size in rest]))


TYPES: Final[Mapping[str, Callable[[Any, Sequence[Shape]], TorchLayer]]] = {
    "BatchNorm": _batch_norm,
    "Bias": _bias,
    "Concat": lambda layer, shapes: TorchLayer(
        Concat(_along(layer.concat_param, "concat_dim", shapes[0]))
    ),
    "Convolution": _convolution,
    "Deconvolution": _convolution,
    "Dropout": lambda layer, _: TorchLayer(nn.Dropout(layer.dropout_param.dropout_ratio)),
    "ELU": lambda layer, _: TorchLayer(nn.ELU(layer.elu_param.alpha)),
    "Eltwise": _eltwise,
    "Flatten": _flatten,
    "InnerProduct": _inner_product,
    "LRN": _response_norm,
    "PReLU": _prelu,
    "Pooling": _pooling,
    "Power": _power,
    "ReLU": _relu,
    "Reshape": _reshape,
    "Scale": _scale,
    "Sigmoid": lambda _, __: TorchLayer(nn.Sigmoid()),
    "Slice": _slice,
    "Softmax": lambda layer, shapes: TorchLayer(
        nn.Softmax(_inner(layer.softmax_param.axis, shapes[0]))
    ),
    "TanH": lambda _, __: TorchLayer(nn.Tanh()),
}


def window(settings: Any) -> tuple[int, int]:
    """The height and width of a convolution's or pooling's window."""
    size = _pair(settings, "kernel", settings.kernel_size, 0)
    if min(size) < 1:
        raise UnsuitableError("it doesn't say how large its window is")
    return size


def _pair(settings: Any, name: str, both: Sequence[int], usual: int) -> tuple[int, int]:
    """Height and width of a setting that is given once, twice, or with _h and _w."""
    if settings.HasField(f"{name}_h") or settings.HasField(f"{name}_w"):
        return getattr(settings, f"{name}_h"), getattr(settings, f"{name}_w")
    return _twice(list(both) or [usual], name)


def _twice(values: Sequence[int], name: str) -> tuple[int, int]:
    if len(values) > 2:
        raise UnsuitableError(f"its {name} has {len(values)} dimensions, and pictures have two")
    return values[0], values[-1]


def _weights(settings: Any) -> dict[str, Filler]:
    weight = {"weight": _filler(settings, "weight_filler", None)}
    bias = {"bias": _filler(settings, "bias_filler", 0.0)}
    return weight | bias if settings.bias_term else weight


def _filler(settings: Any, name: str, usual: float | None) -> Filler:
    return getattr(settings, name) if settings.HasField(name) else None, usual


def _name(settings: Any, name: str) -> str:
    """The name of an enumeration's value."""
    kind = settings.DESCRIPTOR.fields_by_name[name].enum_type
    return str(kind.values_by_number[getattr(settings, name)].name)


def _map(shapes: Sequence[Shape]) -> Shape:
    if len(shapes) != 1 or len(shapes[0]) != 3:
        raise UnsuitableError(f"it needs one input of maps, and is given {list(shapes)}")
    return shapes[0]


def _demand_axis(axis: int) -> None:
    if axis != 1:
        raise UnsuitableError(f"its axis is {axis}, and only 1 is supported")


def _axis(axis: int, shape: Shape) -> int:
    """An axis counted from the front, that of items being 0."""
    return axis if axis >= 0 else axis + len(shape) + 1


def _inner(axis: int, shape: Shape) -> int:
    """An axis counted from the front that is not that of items."""
    place = _axis(axis, shape)
    if not 0 < place <= len(shape):
        raise UnsuitableError(f"it works along axis {axis} of items of the shape {list(shape)}")
    return place


def _along(settings: Any, old: str, shape: Shape) -> int:
    """The axis along which tensors are joined or cut; `old` is what it was called before."""
    return _inner(getattr(settings, old) if settings.HasField(old) else settings.axis, shape)
