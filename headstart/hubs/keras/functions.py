"""Functions of Keras that networks call beside layers, as `x / 255.` and `x[..., ::-1]` are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from headstart.errors import HeadstartError
from headstart.hubs.keras.graph import Constant
from headstart.loading.layer_graph import MERGES, sliced

Config = Mapping[str, Any]
Function = Callable[..., Tensor]
_REAL: Final = ("float16", "bfloat16", "float32", "float64")


@final
class InOrder(nn.Module):
    """A function of tensors whose axes are in Keras' order, and of constants among them."""

    def __init__(self, function: Function, inputs: Sequence[Any]) -> None:
        super().__init__()
        self.function = function
        self.places: dict[int, str] = {}
        for place, value in enumerate(inputs):
            if isinstance(value, float | Constant):
                values = value.values if isinstance(value, Constant) else torch.tensor(value)
                self.places[place] = f"constant_{place}"
                self.register_buffer(f"constant_{place}", values, persistent=False)

    def forward(self, *tensors: Tensor) -> Tensor:
        """Tensors, of which maps have their channels first, to one."""
        turned = (t.permute(0, 2, 3, 1) if t.dim() == 4 else t for t in tensors)
        count = len(tensors) + len(self.places)
        constants = {place: getattr(self, name) for place, name in self.places.items()}
        values = self.function(
            *(constants[n] if n in constants else next(turned) for n in range(count))
        )
        return values.permute(0, 3, 1, 2) if values.dim() == 4 else values


def pick(values: Tensor, key: Sequence[Any]) -> Tensor:
    """What Python's `values[key]` picks, also by steps backwards."""
    spread = [slice(None)] * (values.dim() - sum(item not in (None, ...) for item in key))
    if key[0] is ... and not spread:
        raise HeadstartError("it picks among pictures")
    axis = 0
    for item in [i for part in key for i in (spread if part is ... else [part])]:
        if item is None:
            values = values.unsqueeze(axis)
        elif isinstance(item, int):
            values = values.select(axis, item)
            continue
        elif item != slice(None):
            values = sliced(values, axis, item)
        axis += 1
    return values


def resize(maps: Tensor, size: tuple[int, int], mode: str) -> Tensor:
    """Maps (N, H, W, C) to maps of this height and width."""
    smooth = {"align_corners": False} if mode == "bilinear" else {}
    resized = functional.interpolate(maps.permute(0, 3, 1, 2), size, mode=mode, **smooth)
    return resized.permute(0, 2, 3, 1)


def _key(config: Config) -> list[Any]:
    """What stands in square brackets. Raises HeadstartError unless all pictures are taken."""
    items = config.get("key", config.get("slice_spec"))
    key = [_item(item) for item in items] if isinstance(items, list) else [...]
    if not key or key[0] not in (slice(None), ...) or key.count(...) > 1:
        raise HeadstartError("it picks among pictures")
    return key


def _item(item: Any) -> Any:
    if isinstance(item, dict):
        inner = item.get("config") or item
        if item.get("class_name") in ("__ellipsis__", "Ellipsis"):
            return ...
        return slice(*(inner.get(name) for name in ("start", "stop", "step")))
    return item


def _axes(config: Config) -> tuple[int, ...]:
    """Axes by their number, of which none is that of the pictures."""
    value: Any = config.get("axis")
    axes = tuple(int(n) for n in (value if isinstance(value, list) else [value]))
    if 0 in axes:
        raise HeadstartError(f"axis={value} mixes pictures")
    return axes


def _shape(config: Config, inputs: Sequence[Any]) -> Function:
    shape = config.get("newshape", config.get("shape", config.get("target_shape")))
    rest = [int(side) for side in shape][1:]
    return lambda values: values.reshape(values.shape[0], *rest)


def _joined(config: Config, inputs: Sequence[Any]) -> Function:
    (axis,) = _axes(config)
    return lambda *values: torch.cat(values, axis)


def _cast(config: Config, inputs: Sequence[Any]) -> Function:
    kind = str(config.get("dtype"))
    if kind.rpartition(".")[2] not in _REAL:
        raise HeadstartError(f"dtype={kind} is not one of real numbers")
    return nn.Identity()


def _resized(config: Config, inputs: Sequence[Any]) -> Function:
    size: Sequence[Any] = config.get("size") or (config.get("height"), config.get("width"))
    mode = str(config.get("interpolation") or config.get("method") or "bilinear")
    modes = {"bilinear": "bilinear", "nearest": "nearest-exact"}
    usual = ("antialias", "crop_to_aspect_ratio", "pad_to_aspect_ratio", "preserve_aspect_ratio")
    odd = [name for name in usual if config.get(name)]
    if odd or mode not in modes or config.get("data_format") == "channels_first":
        raise HeadstartError(f"{odd[0] if odd else f'interpolation={mode}'} is not known")
    height, width = (int(side) for side in size)
    return partial(resize, size=(height, width), mode=modes[mode])


def _center_crop(config: Config, inputs: Sequence[Any]) -> Function:
    height, width = int(config["height"]), int(config["width"])
    top, left = ((inputs[0].shape[2] - height) // 2, (inputs[0].shape[3] - width) // 2)
    if min(top, left) < 0:
        raise HeadstartError("pictures are smaller than its crop")
    return lambda maps: maps[:, top : top + height, left : left + width]


FUNCTIONS: Final[Mapping[str, Callable[[Config, Sequence[Any]], Function]]] = {
    "Absolute": lambda config, inputs: torch.abs,
    "Cast": _cast,
    "CenterCrop": _center_crop,
    "Divide": lambda config, inputs: torch.div,
    "ExpandDims": lambda config, inputs: partial(torch.unsqueeze, dim=_axes(config)[0]),
    "Flip": lambda config, inputs: partial(torch.flip, dims=_axes(config)),
    "GetItem": lambda config, inputs: partial(pick, key=_key(config)),
    "Mean": lambda config, inputs: partial(
        torch.mean, dim=_axes(config), keepdim=bool(config.get("keepdims"))
    ),
    "Negative": lambda config, inputs: torch.neg,
    "Power": lambda config, inputs: torch.pow,
    "Resize": _resized,
    "Resizing": _resized,
    "Sqrt": lambda config, inputs: torch.sqrt,
    "Square": lambda config, inputs: torch.square,
    "Squeeze": lambda config, inputs: partial(torch.squeeze, dim=_axes(config)),
    "Stack": lambda config, inputs: lambda *values: torch.stack(values, *_axes(config)),
    "TrueDivide": lambda config, inputs: torch.div,
}


def function(kind: str, config: Config, inputs: Sequence[Any]) -> nn.Module | None:
    """The module of a function, None where this is no call of one.

    Layers of the same name read no constants, and no shape for all pictures together. Raises
    HeadstartError for settings that are not known.
    """
    constant = any(isinstance(value, float | Constant) for value in inputs)
    if kind == "Reshape" and "target_shape" not in config:
        return InOrder(_shape(config, inputs), inputs)
    if kind == "Concatenate" and any(value.dim() != 4 for value in inputs):
        return InOrder(_joined(config, inputs), inputs)
    if constant and kind.lower() in MERGES and kind != "Average":
        return InOrder(MERGES[kind.lower()], inputs)
    make = FUNCTIONS.get(kind)
    return None if make is None else InOrder(make(config, inputs), inputs)
