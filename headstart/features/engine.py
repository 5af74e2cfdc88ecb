"""The plainest way to run a frozen prefix: torch in fp32, channels-last, without gradients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


def to_device(inputs: Any, device: torch.device) -> Any:
    """Move model inputs to a device; images channels-last, as convolutions run fastest."""
    if isinstance(inputs, Tensor):
        if inputs.dim() == 4:
            return inputs.to(device, memory_format=torch.channels_last)
        return inputs.to(device)
    if isinstance(inputs, Mapping):
        return {name: to_device(value, device) for name, value in inputs.items()}
    raise TypeError(f"model inputs of type {type(inputs).__name__} have no place on a device")


class TorchEngine:
    """Runs stages in eval mode on a device and answers with numpy arrays."""

    name = "torch fp32"

    def __init__(self, stages: nn.Module, device: torch.device) -> None:
        self._stages = stages
        self._device = device

    def run(self, inputs: Any) -> np.ndarray:
        """One batch of model inputs -> activations (N, …) in float32."""
        self._stages.to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._stages.eval()
        with torch.inference_mode():
            outputs: Tensor = self._stages(to_device(inputs, self._device))
        return outputs.float().cpu().contiguous().numpy()
