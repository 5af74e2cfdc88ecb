"""Keras itself, used for two things: to say how its networks are built, and to fetch weights.

Nothing else imports it, and it computes nothing here: networks are translated.
"""

from __future__ import annotations

import json
import os
import random
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from functools import lru_cache, partial
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from headstart.errors import HeadstartError, WeightsError, reason
from headstart.hubs.keras.graph import KerasLayer, snake
from headstart.loading.refusals import demand_package, without_download

_VARIABLE: Final = "KERAS_BACKEND"
_BESIDE: Final = ("name", "trainable", "dtype", "batch_input_shape")  # settings of every layer


@lru_cache(maxsize=32)
def description(name: str, size: int, channels: int, settings: tuple[tuple[str, Any], ...]) -> Any:
    """How Keras builds one of its networks with a head of 1,000 classes, as `to_json` says it.

    Raises HeadstartError where it can't for pictures of this size.
    """
    with library() as keras:
        build = builder(keras, name)
        try:
            network = build(weights=None, input_shape=(size, size, channels), **dict(settings))
        except (ValueError, RuntimeError) as error:
            raise HeadstartError(
                f"keras:{name} can't be built for pictures of {channels}x{size}x{size} "
                f"({reason(error)}). Give another size= or channels=, or none."
            ) from error
        return _renumbered(json.loads(network.to_json()))


def fetch(name: str, path: Path, settings: tuple[tuple[str, Any], ...]) -> None:
    """Let Keras download weights into its own cache, and compare them with their hash.

    Raises WeightsError where they are not to be had, or are not at `path` then.
    """
    with library() as keras:
        try:
            builder(keras, name)(weights="imagenet", **dict(settings))
        except Exception as error:  # Keras raises plain Exceptions for what the network does
            what = f"keras:{name}"
            raise WeightsError(
                f"The weights of {what} could not be fetched ({reason(error)}). "
                f"{without_download(what)}"
            ) from error
    if not path.is_file():
        raise WeightsError(
            f"Keras did not put the weights of keras:{name} at {path}. Make that folder writable."
        )


def open_code(layer: KerasLayer) -> nn.Module:
    """A layer that runs the user's code, which must be trusted already."""
    demand_package("keras", f"The layer {layer.name}", "keras")
    with library() as keras:
        config = json.loads(json.dumps(layer.config))
        return _Code(keras.layers.Lambda.from_config(config, safe_mode=False))


def does_nothing(layer: KerasLayer, values: Tensor) -> bool:
    """Whether Keras' own layer of this kind answers what it reads, unless it is being trained.

    It is tried, on numbers near those that its settings name too.
    """
    demand_package("keras", f"The layer {layer.name} of the kind {layer.kind}", "keras")
    settings = {n: v for n, v in layer.config.items() if n not in _BESIDE}
    if any(isinstance(value, dict) for value in settings.values()):
        return False
    shape = values.permute(0, 2, 3, 1).shape if values.dim() == 4 else values.shape
    draw = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    numbers = [float(v) for v in settings.values() if isinstance(v, int | float)]
    probes = [draw, draw * 255, draw * 600 - 300, *(torch.full(shape, v) for v in numbers)]
    with library() as keras, torch.no_grad():
        kind: Any = getattr(keras.layers, layer.kind, None)
        try:
            own = kind.from_config({"name": "probe", **settings})
            return all(torch.equal(own(probe, training=False), probe) for probe in probes)
        except Exception:  # it is none of Keras' layers, or can't read this
            return False


def builder(keras: Any, name: str) -> Callable[..., Any]:
    """What builds a network. Keras refuses to let NASNetMobile compute on torch.

    Here only its description is wanted, so that the function behind it is called, with the sizes
    that Keras gives it.
    """
    if name != "NASNetMobile":
        function: Callable[..., Any] = getattr(keras.applications, name)
        return function
    return partial(
        import_module("keras.src.applications.nasnet").NASNet,
        penultimate_filters=1056,
        num_blocks=4,
        stem_block_filters=32,
        skip_reduction=False,
        filter_multiplier=2,
        default_size=224,
    )


class _Code(nn.Module):
    """A Lambda layer; it has no weights. Maps are given with channels last, as it expects."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.layer = (layer,)  # not a submodule: it has nothing to save

    def forward(self, values: Tensor) -> Tensor:
        """What its function answers."""
        values = values.permute(0, 2, 3, 1) if values.dim() == 4 else values
        answer: Tensor = self.layer[0](values, training=self.training)
        return answer.permute(0, 3, 1, 2) if answer.dim() == 4 else answer


@contextmanager
def library() -> Iterator[Any]:
    """Keras on torch, with channels last, printing to where it is no one's output."""
    demand_package("keras", "This network", "keras")
    before = os.environ.get(_VARIABLE)
    if "keras" not in sys.modules:
        os.environ[_VARIABLE] = "torch"
    try:
        keras = import_module("keras")
    finally:
        if before is None:
            os.environ.pop(_VARIABLE, None)
        else:
            os.environ[_VARIABLE] = before
    if keras.backend.backend() != "torch":
        raise HeadstartError(
            f"Keras is in use here on {keras.backend.backend()}, and can't change that while it "
            f"runs. Set {_VARIABLE}=torch before it is imported, or start another process."
        )
    layout = keras.config.image_data_format()
    states = torch.get_rng_state(), random.getstate()  # of which it draws seeds
    keras.config.set_image_data_format("channels_last")
    try:
        with redirect_stdout(sys.stderr), keras.device("cpu"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Keras' own use of numpy and of old formats
            yield keras
    finally:
        keras.config.set_image_data_format(layout)
        torch.set_rng_state(states[0])
        random.setstate(states[1])


def _renumbered(model: Any) -> Any:
    """The same description with the names that Keras made up counted from the start.

    Keras counts over all networks of a process, so that they would differ from one to the next.
    """
    layers_by_class: dict[str, list[tuple[int, str]]] = {}
    for layer in model["config"]["layers"]:
        kind, name = snake(layer["class_name"]), layer["name"]
        number = name.removeprefix(f"{kind}_")
        if name == kind or number.isdigit():
            layers_by_class.setdefault(kind, []).append((0 if name == kind else int(number), name))
    names = {
        name: f"{kind}_{number}" if number else kind
        for kind, numbered in layers_by_class.items()
        for number, (_, name) in enumerate(sorted(numbered))
    }
    return _replaced(model, names)


def _replaced(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _replaced(inner, names) for key, inner in value.items()}
    if isinstance(value, list):
        return [_replaced(inner, names) for inner in value]
    return names.get(value, value) if isinstance(value, str) else value
