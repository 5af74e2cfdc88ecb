"""Heads that a backbone's own library knows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor, nn


class NativeHead(nn.Module, ABC):
    """A head whose tensors have the names of the backbone's own library, without any prefix."""

    @abstractmethod
    def forward(self, features: Any) -> Tensor:
        """Outputs (N, width) for what the task reads of the backbone."""
