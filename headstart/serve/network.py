"""A saved model as one module of torch, for whatever takes one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, final

import torch
from torch import Tensor, nn

from headstart.contracts.model import Model
from headstart.features.engine.interface import hidden


@final
class Network(nn.Module):
    """Preprocessed inputs (N, …) -> the numbers (N, labels) that answers are decoded from.

    For classes they are logits: their softmax is what `predict_proba` says, calibrated. It shares
    its weights with the predictor. Features are averaged over `looks`, as in `predict`.
    """

    def __init__(
        self, model: Model, looks: Sequence[str], look: Callable[[Any, str], Any | None]
    ) -> None:
        super().__init__()
        self.model = model
        self._looks, self._look = tuple(looks), look

    def forward(self, inputs: Any) -> Tensor:
        """Outputs (N, labels) for a tensor (N, C, H, W), or for texts a mapping of (N, T)."""
        if len(self._looks) == 1:
            outputs: Tensor = self.model(inputs)
            return outputs
        views = [self._look(inputs, name) if name else inputs for name in self._looks]
        features = torch.stack([hidden(self.model.features(each)) for each in views]).mean(dim=0)
        answers: Tensor = self.model.head(features)
        return answers
