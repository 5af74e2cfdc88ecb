"""What every engine offers, and how inputs reach a device."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from headstart.loading import openvino_runtime

if TYPE_CHECKING:  # so that frozen features need no torch
    import torch
    from torch import nn

_PICTURES: Final = 4  # dimensions of a batch of them


class EngineError(Exception):
    """An engine can't run these stages here; the message is a clause that says why."""


def library() -> Any:
    """OpenVINO. Raises EngineError where it can't be had."""
    try:
        return openvino_runtime.library()
    except ImportError as error:
        raise EngineError(str(error)) from error


def core() -> Any:
    """OpenVINO's reader and compiler of networks."""
    return library().Core()


class Engine(ABC):
    """Runs frozen stages in evaluation mode, without gradients, and answers with numpy arrays."""

    name: str  # such as "openvino bf16"
    precision: str  # "fp32" or "bf16": what it multiplies in; results are float32 all the same

    @abstractmethod
    def run(self, inputs: Any) -> Any:
        """One batch of N model inputs -> activations (N, …) in float32, or several by name.

        Named ones that are no floating-point numbers, such as a mask, keep their type.
        """

    def stream(self, batches: Iterable[Any]) -> Iterator[Any]:
        """The activations of each batch, in order; a few batches may be in flight at a time."""
        return map(self.run, batches)

    def maker(self) -> Callable[[int], Engine]:
        """What makes the same engine in another process, on so many threads; it can be sent there.

        Raises EngineError where it can't be had elsewhere.
        """
        raise EngineError(f"{self.name} runs nowhere else")


def on_device(network: nn.Module, device: torch.device) -> None:
    """Move a network to a device, its kernels channels-last, as convolutions run fastest."""
    import torch

    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # its stubs know no memory format


def to_device(inputs: Any, device: torch.device, dtype: torch.dtype | None = None) -> Any:
    """Move model inputs to a device; images channels-last, as convolutions run fastest.

    A `dtype` is given to inputs of floating point only.
    """
    import torch
    from torch import Tensor

    inputs = as_tensors(inputs)
    if isinstance(inputs, Tensor):
        own_dtype = dtype if inputs.is_floating_point() else None
        shape = torch.channels_last if inputs.dim() == 4 else torch.preserve_format
        overlaps = device.type == "cuda"
        return inputs.to(device, own_dtype, non_blocking=overlaps, memory_format=shape)
    if isinstance(inputs, Mapping):
        return {name: to_device(value, device, dtype) for name, value in inputs.items()}
    raise TypeError(f"model inputs of type {type(inputs).__name__} have no place on a device")


def as_tensors(inputs: Any) -> Any:
    """A batch of `Modality.arrays` as `collate` makes it; tensors stay as they are."""
    import torch

    def tensor(values: Any) -> Any:
        if not isinstance(values, np.ndarray):
            return values
        own = torch.from_numpy(values)
        return own.permute(0, 3, 1, 2) if own.dim() == _PICTURES else own

    return each(inputs, tensor) if isinstance(inputs, Mapping | np.ndarray) else inputs


def is_pictures(inputs: Any) -> bool:
    """Whether a batch is of pictures: one tensor or array of four dimensions."""
    return not isinstance(inputs, Mapping) and len(inputs.shape) == _PICTURES


def tensors(inputs: Any) -> list[Any]:
    """The tensors, or arrays, of a batch; those of a mapping in the order of their names."""
    return [inputs[name] for name in sorted(inputs)] if isinstance(inputs, Mapping) else [inputs]


def count(inputs: Any) -> int:
    """How many items a batch holds."""
    return len(tensors(inputs)[0])


def part(inputs: Any, start: int, stop: int) -> Any:
    """The items of a batch from `start` up to `stop` (exclusive)."""
    return each(inputs, lambda values: values[start:stop])


def each(values: Any, change: Callable[[Any], Any]) -> Any:
    """A tensor or an array changed, or each one of a mapping."""
    if isinstance(values, Mapping):
        return {name: change(value) for name, value in values.items()}
    return change(values)


def head(inputs: Any, size: int) -> Any:
    """The first `size` items of a batch."""
    return part(inputs, 0, size)


def is_ragged(inputs: Any) -> bool:
    """Whether the items of a batch differ in length, as the `mask` among its tensors says."""
    return isinstance(inputs, Mapping) and "mask" in inputs


def numbers(activations: Any, inputs: Any) -> Any:
    """What counts of a stage's output: all of it; of items of any length `hidden` alone.

    What is no floating-point number keeps its type, all else is float32.
    """
    if is_ragged(inputs) and isinstance(activations, Mapping):
        activations = activations["hidden"]
    return each(activations, lambda part: part.float() if part.is_floating_point() else part)


def layout(inputs: Any) -> Any:
    """Types and shapes of one item's inputs, JSON-able: what an engine is built for.

    Of ragged items the second dimension is left out: it is as long as the longest of a batch.
    Arrays are like the tensors that they become.
    """
    fixed = 2 if is_ragged(inputs) else 1

    def described(values: Any) -> list[Any]:
        sides = list(values.shape)
        if isinstance(values, np.ndarray):
            if len(sides) == _PICTURES:
                sides.insert(1, sides.pop())
            return [f"torch.{values.dtype}", *sides[fixed:]]
        return [str(values.dtype), *sides[fixed:]]

    return each(inputs, described)
