"""Torch as an engine: the plainest one, and the fastest on an accelerator."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from functools import partial
from typing import TYPE_CHECKING, Any, final

from headstart.features.engine.interface import (
    Engine,
    as_tensors,
    each,
    numbers,
    on_device,
    to_device,
)

if TYPE_CHECKING:  # so that frozen features need no torch
    import torch
    from torch import Tensor, nn


@final
class TorchEngine(Engine):
    """Channels-last stages on a device.

    In fp32 it runs the stages themselves, which it moves there and puts into evaluation mode. In
    bf16 it runs a copy, made at once: whole weights in bf16 spare the casts that autocast makes
    for every product (3 times as fast for MobileNetV2 on a CPU, 1.15 times for ResNet-50).
    """

    def __init__(self, stages: nn.Module, device: torch.device, precision: str = "fp32") -> None:
        import torch

        self.name = f"torch {precision}"
        self.precision = precision
        self._device = device
        self._dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        self._stages = deepcopy(stages).to(self._dtype) if precision == "bf16" else stages

    def run(self, inputs: Any) -> Any:
        """One batch of model inputs -> activations (N, …) in float32, or several by name."""
        return each(self._forward(inputs), lambda values: values.cpu().contiguous().numpy())

    def stream(self, batches: Iterable[Any]) -> Iterator[Any]:
        """The activations of each batch, in order; on CUDA one batch computes meanwhile."""
        if self._device.type != "cuda":
            return super().stream(batches)
        return self._overlapped(batches)

    def maker(self) -> Callable[[int], Engine]:
        """The stages, on the CPU as they travel, and what runs them on the same device."""
        stages = deepcopy(self._stages).cpu() if self._device.type != "cpu" else self._stages
        return partial(_engine, stages.eval(), self._device, self.precision)

    def _overlapped(self, batches: Iterable[Any]) -> Iterator[Any]:
        """Copies from and to pinned memory, and one batch in flight while the next is read."""
        import torch

        flying: tuple[Any, torch.cuda.Event] | None = None
        for inputs in batches:
            pinned = each(as_tensors(inputs), lambda values: values.pin_memory())
            landed = each(self._forward(pinned), _landing)
            done = torch.cuda.Event()  # type: ignore[no-untyped-call]
            done.record(torch.cuda.current_stream(self._device))
            if flying is not None:
                yield _landed(*flying)
            flying = landed, done
        if flying is not None:
            yield _landed(*flying)

    def _forward(self, inputs: Any) -> Any:
        import torch

        on_device(self._stages.eval(), self._device)
        dtype = self._dtype if self.precision == "bf16" else None
        with torch.inference_mode():
            return numbers(self._stages(to_device(inputs, self._device, dtype)), inputs)


def _engine(stages: nn.Module, device: torch.device, precision: str, threads: int) -> TorchEngine:
    import torch

    torch.set_num_threads(threads)
    return TorchEngine(stages, device, precision)


def _landing(outputs: Tensor) -> Tensor:
    """Pinned memory that outputs are on their way to."""
    import torch

    landed = torch.empty_like(outputs.contiguous(), device="cpu", pin_memory=True)
    return landed.copy_(outputs, non_blocking=True)


def _landed(outputs: Any, done: torch.cuda.Event) -> Any:
    done.synchronize()
    return each(outputs, lambda values: values.numpy())
