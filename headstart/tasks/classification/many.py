"""Logistic regression over so many labels that one number an item and label is too much to hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from headstart.runtime.machine import threads_for
from headstart.tasks.classification import probe

if TYPE_CHECKING:  # so that frozen features need no torch
    from torch import Tensor

MANY = 20_000_000  # items times labels; solvers that hold all their outputs hold several copies
_BLOCK = 4_000_000  # outputs that are held at a time
_STEPS = 100  # of L-BFGS for each strength; held-out items judge the result
_HISTORY = 10  # steps that L-BFGS remembers, each as large as two heads


@dataclass(frozen=True)
class Blocks:
    """Inputs (N, D) with targets (N,) of so many labels, and how much each item counts, (N,).

    The same multinomial loss as elsewhere, by L-BFGS (Liu and Nocedal 1989) on a few items at a
    time, in single precision. Labels without items never win.
    """

    inputs: np.ndarray
    targets: np.ndarray
    counts: np.ndarray
    labels: int

    def held_out(self, folds: np.ndarray) -> Iterator[np.ndarray]:
        """For each strength the outputs (M, labels) for held-out items by a fit on the others."""
        layers = [self._zeros() for _ in folds]
        in_folds = folds.any(axis=0)
        places = np.cumsum(in_folds) - 1
        for strength in probe.PROBE_STRENGTHS:
            outputs = np.empty((int(in_folds.sum()), self.labels), dtype=np.float32)
            for layer, fold in zip(layers, folds, strict=True):
                self._minimise(layer, np.where(fold, 0.0, self.counts), strength)
                weight, bias = self._whole(layer)
                outputs[places[fold]] = self.inputs[fold].astype(np.float32) @ weight.T + bias
            yield outputs

    def solution(self, strength: float) -> tuple[np.ndarray, np.ndarray]:
        """Weight (labels, D) and bias (labels,) float32 fitted to all items."""
        layer = self._zeros()
        self._minimise(layer, self.counts, strength)
        return self._whole(layer)

    def _zeros(self) -> tuple[Tensor, Tensor]:
        import torch

        labels_present = len(np.unique(self.targets))
        return torch.zeros(labels_present, self.inputs.shape[1]), torch.zeros(labels_present)

    def _minimise(self, layer: tuple[Tensor, Tensor], counts: np.ndarray, strength: float) -> None:
        import torch

        own = torch.from_numpy(np.unique(self.targets, return_inverse=True)[1])
        inputs = torch.from_numpy(self.inputs).float()
        with threads_for(inputs.numel() * len(layer[1])):
            _minimise(layer, inputs, own, torch.from_numpy(counts).float(), strength)

    def _whole(self, layer: tuple[Tensor, Tensor]) -> tuple[np.ndarray, np.ndarray]:
        weight = np.zeros((self.labels, self.inputs.shape[1]), dtype=np.float32)
        bias = np.full(self.labels, -probe.SURE, dtype=np.float32)
        labels_present = np.unique(self.targets)
        weight[labels_present], bias[labels_present] = layer[0].numpy(), layer[1].numpy()
        return weight, bias


def _minimise(
    layer: Sequence[Tensor], inputs: Tensor, targets: Tensor, counts: Tensor, strength: float
) -> None:
    """Move weight (labels, D) and bias (labels,) to the least regularised loss."""
    import torch

    weight, bias = layer
    solver = torch.optim.LBFGS(
        layer,
        max_iter=_STEPS,
        tolerance_grad=1e-5,
        history_size=_HISTORY,
        line_search_fn="strong_wolfe",
    )
    rows = max(1, _BLOCK // len(bias))

    def loss() -> Tensor:
        total = weight.square().sum() / (2 * strength)
        slopes = weight / strength, torch.zeros_like(bias)
        for start in range(0, len(inputs), rows):
            some, own = inputs[start : start + rows], targets[start : start + rows]
            outputs = torch.addmm(bias, some, weight.T).log_softmax(dim=1)
            each, every = counts[start : start + rows], torch.arange(len(own))
            total = total - outputs[every, own] @ each
            errors = outputs.exp_()
            errors[every, own] -= 1
            errors *= each[:, None]
            slopes[0].addmm_(errors.T, some)
            slopes[1].add_(errors.sum(dim=0))
        weight.grad, bias.grad = (slope / len(inputs) for slope in slopes)
        return total / len(inputs)

    solver.step(loss)  # type: ignore[no-untyped-call]
