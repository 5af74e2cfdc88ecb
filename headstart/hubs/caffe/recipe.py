"""How pictures are fed to a network: what its description and its weights say of that."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, final

from torch import Tensor

from headstart.errors import HeadstartError
from headstart.hubs.caffe.graph import STORED, Selection, data_layers
from headstart.hubs.caffe.network import Built
from headstart.hubs.caffe.reading import read_mean

_ZOO_MEAN: Final = (104.0, 117.0, 123.0)  # of ImageNet, blue first, as networks of the zoo take off
_LEVELS: Final = 255.0
_MOST: Final = 1024  # pixels, of pictures whose size is found by what the weights fit


@final
@dataclass(frozen=True)
class InputSpec:
    """What a network is fed: channels, height and width as far as known, and what is done before.

    `scale`, `means` and `mean_file` are Caffe's: (level - mean) · scale, with levels of 0 to 255.
    They are None where nothing is said of them.
    """

    channels: int | None = None
    height: int | None = None
    width: int | None = None
    scale: float | None = None
    means: tuple[float, ...] = ()
    mean_file: str = ""


def feed_of(selection: Selection, what: str) -> InputSpec:
    """What the description says. Raises HeadstartError where its input can't be pictures."""
    source = selection.pictures.source
    shape = _shape(source, selection.pictures.name)
    is_layer = source.DESCRIPTOR.name == "Layer"
    feed = _stored(source) if is_layer and source.type in (*STORED, "MemoryData") else InputSpec()
    if shape is None:
        return feed
    if len(shape) != 4 or min(shape[1:]) < 1:
        raise HeadstartError(
            f"{what} is fed {'×'.join(map(str, shape))}, which are no pictures. "
            "Give a network for pictures."
        )
    channels, height, width = shape[1:]
    return replace(feed, channels=channels, height=height, width=width)


def feed_in_training(layers: Sequence[Any]) -> InputSpec:
    """What the first of the layers that feed from a store says, as files of weights keep it."""
    data = data_layers(layers)
    return _stored(data[0]) if data else InputSpec()


def _stored(layer: Any) -> InputSpec:
    """What a layer says that feeds from a store."""
    names = ("image_data_param", "window_data_param", "data_param")
    old = getattr(layer, next(filter(layer.HasField, names), names[-1]))
    now = layer.transform_param
    size = now.crop_size or old.crop_size or None
    high, wide = (size, size) if size else (old.new_height or None, old.new_width or None)
    scale = now.scale if now.HasField("scale") else old.scale
    channels = 1 if now.force_gray else 3 if now.force_color else None
    channels = len(now.mean_value) if len(now.mean_value) > 1 else channels
    return InputSpec(
        channels, high, wide, scale, tuple(now.mean_value), now.mean_file or old.mean_file
    )


def _shape(source: Any, name: str) -> list[int] | None:
    """The dimensions of an input, None where its source doesn't say them."""
    if source.DESCRIPTOR.name == "Net":
        place = list(source.input).index(name)
        shapes = [list(shape.dim) for shape in source.input_shape]
        dims = list(source.input_dim)
        shapes = shapes or [dims[start : start + 4] for start in range(0, len(dims), 4)]
        return shapes[place] if place < len(shapes) else None
    if source.HasField("memory_data_param"):
        memory = source.memory_data_param
        return [1, memory.channels, memory.height, memory.width]
    shapes = source.dummy_data_param.shape or source.input_param.shape
    place = list(source.top).index(name)
    return list(shapes[min(place, len(shapes) - 1)].dim) if shapes else None


def normalisation(feed: InputSpec, channels: int, reverse: bool, folder: Path) -> tuple[str, str]:
    """Mean and spread for values from 0 to 1, red first, as options.

    A mean picture counts where it lies in the folder. Where nothing is said of colour pictures, the
    zoo's mean is taken off.
    """
    means = list(feed.means)
    if feed.mean_file or feed.scale is None:
        path = _within(folder, feed.mean_file) if feed.mean_file else None
        usual = list(_ZOO_MEAN if reverse else _ZOO_MEAN[::-1]) if channels == 3 else [0.0]
        means = means or (read_mean(path) if path else usual)
    means = means or [0.0]
    means = means * channels if len(means) == 1 else means
    ordered = means[::-1] if reverse else means
    spread = 1 / (_LEVELS * (feed.scale or 1.0))
    return ",".join(str(mean / _LEVELS) for mean in ordered), str(spread)


def _within(folder: Path, name: str) -> Path | None:
    """The file of this path, or at least of this name, in the folder; None if it isn't there."""
    root = folder.resolve()
    for candidate in (name, name.replace("\\", "/").rpartition("/")[2]):
        path = (root / candidate).resolve()
        if path.is_relative_to(root) and path.is_file():
            return path
    return None


def channels_of(selection: Selection, state: Mapping[str, Tensor]) -> int | None:
    """How many channels the weights of the first convolution have."""
    for node in selection.nodes:
        weight = state.get(f"{node.name}.weight")
        if node.layer.type == "Convolution" and weight is not None and weight.dim() == 4:
            return weight.shape[1] * int(node.layer.convolution_param.group)
    return None


def size_of(
    selection: Selection, state: Mapping[str, Tensor], build: Callable[[int], Built]
) -> int | None:
    """The roundest size of square pictures for which the weights fit, None where any would do.

    What an inner product reads grows with the pictures, so that its weights tell their size.
    """
    for node in [*selection.nodes, *([selection.head] if selection.head else [])]:
        weight = state.get(f"{node.name}.weight")
        if node.layer.type == "InnerProduct" and weight is not None and weight.dim() == 2:
            break
    else:
        return None
    width = weight.shape[1]

    def width_of(size: int) -> int:
        try:
            built = build(size)
        except HeadstartError:  # too small for its windows
            return 0
        if node is selection.head:
            return built.feature_dim
        return built.network.get_parameter(f"{node.name}.weight").shape[1]

    sizes = range(1, _MOST + 1)
    least = 1 + bisect_left(sizes, True, key=lambda size: width_of(size) >= width)
    beyond = 1 + bisect_left(sizes, True, key=lambda size: width_of(size) > width)
    if least >= beyond or beyond > _MOST:
        return None
    return max(range(least, beyond), key=lambda size: size & -size)
