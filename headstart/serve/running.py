"""What a saved model's answers are computed by: its network in torch, or its form without."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, final

import numpy as np

from headstart.features.reading import Reader
from headstart.loading.engine_form import EngineForm

if TYPE_CHECKING:
    import torch
    from torch import nn

    from headstart.contracts.model import Model
    from headstart.features.engine import Engine


class Running(ABC):
    """Outputs and features of batches, over all looks that the reader averages."""

    reader: Reader  # makes the batches that it takes

    @abstractmethod
    def opened(self) -> Model:
        """The network in torch. Raises HeadstartError where there is no single one."""

    @abstractmethod
    def outputs(self, inputs: Any) -> np.ndarray:
        """Head outputs (N, labels) float32."""

    @abstractmethod
    def headed(self, features: np.ndarray) -> np.ndarray:
        """Head outputs (N, labels) float32 for pooled features (N, D)."""

    @abstractmethod
    def features(self, inputs: Any) -> np.ndarray:
        """Pooled features (N, D) float32, what the head reads."""


@final
class InTorch(Running):
    """The network itself, on a device."""

    def __init__(self, model: Model, reader: Reader, device: torch.device | str) -> None:
        self.model = model
        self.reader = reader
        self._device = device
        from torch import nn

        self._outputs, self._features = map(self._answering, (model.head, nn.Identity()))

    def opened(self) -> Model:
        """The network."""
        return self.model

    def outputs(self, inputs: Any) -> np.ndarray:
        """Head outputs (N, labels) float32."""
        return np.asarray(self._outputs.run(inputs))

    def features(self, inputs: Any) -> np.ndarray:
        """Pooled features (N, D) float32."""
        return np.asarray(self._features.run(inputs))

    def headed(self, features: np.ndarray) -> np.ndarray:
        """Head outputs (N, labels) float32."""
        import torch

        from headstart.features.engine import TorchEngine

        engine = TorchEngine(self.model.head, torch.device(self._device))
        return np.asarray(engine.run(torch.from_numpy(features)))

    def _answering(self, head: nn.Module) -> Engine:
        """What a head makes of the features."""
        import torch

        from headstart.features.engine import Averaged, TorchEngine

        looks, device = self.reader.looks, torch.device(self._device)
        if len(looks) == 1:
            return TorchEngine(self.model.with_head(head), device)
        body = TorchEngine(self.model.body(), device)
        return Averaged(dict.fromkeys(looks, body), head, self.reader.modality.look)


@final
class WithoutTorch(Running):
    """The saved form, on the CPU; `opened` makes the network of torch, for what needs that."""

    def __init__(self, form: EngineForm, reader: Reader, opened: Callable[[], Model]) -> None:
        self.reader = reader
        self._opened = opened
        self.form = form

    def opened(self) -> Model:
        """The network in torch, made when it is asked for."""
        return self._opened()

    def outputs(self, inputs: Any) -> np.ndarray:
        """Head outputs (N, labels) float32."""
        return self.headed(self.features(inputs))

    def headed(self, features: np.ndarray) -> np.ndarray:
        """Head outputs (N, labels) float32."""
        return self.form.outputs(features)

    def features(self, inputs: Any) -> np.ndarray:
        """Pooled features (N, D) float32."""
        look = self.reader.modality.look
        views = [look(inputs, name) if name else inputs for name in self.reader.looks]
        each = [self.form.features(view) for view in views]
        return each[0] if len(each) == 1 else np.asarray(np.mean(each, axis=0, dtype=np.float32))
