"""Logistic regression over so many labels that one number an item and label is too much to hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from headstart.tasks.classification import probe

MANY = 20_000_000  # items times labels; solvers that hold all their outputs hold several copies
_BLOCK = 4_000_000  # outputs that are held at a time
_STEPS = 100  # of L-BFGS for each strength; validation judges the result


def solutions(
    inputs: np.ndarray, targets: np.ndarray, labels: int, weights: Mapping[int, float] | None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Weight (labels, D) and bias (labels,) float32 for each strength, each from the one before.

    The same multinomial loss as scikit-learn's, by L-BFGS (Liu and Nocedal 1989) on a few items at
    a time, in single precision. Labels without items never win.
    """
    seen, own = np.unique(targets, return_inverse=True)
    given, wanted = torch.from_numpy(inputs).float(), torch.from_numpy(own)
    counts = torch.tensor([(weights or {}).get(int(label), 1.0) for label in seen])
    weight, bias = torch.zeros(len(seen), inputs.shape[1]), torch.zeros(len(seen))
    for strength in probe.PROBE_STRENGTHS:
        with probe.threads(given.numel() * len(seen)):
            _minimise((weight, bias), given, wanted, counts, strength)
        whole = np.zeros((labels, inputs.shape[1]), dtype=np.float32)
        sure = np.full(labels, -probe.SURE, dtype=np.float32)
        whole[seen], sure[seen] = weight.numpy(), bias.numpy()
        yield whole, sure


def _minimise(
    layer: Sequence[Tensor], inputs: Tensor, targets: Tensor, counts: Tensor, strength: float
) -> None:
    """Move weight (labels, D) and bias (labels,) to the least regularised loss."""
    weight, bias = layer
    solver = torch.optim.LBFGS(
        layer, max_iter=_STEPS, tolerance_grad=1e-5, line_search_fn="strong_wolfe"
    )
    rows = max(1, _BLOCK // len(bias))

    def loss() -> Tensor:
        total = weight.square().sum() / (2 * strength)
        slopes = weight / strength, torch.zeros_like(bias)
        for start in range(0, len(inputs), rows):
            some, own = inputs[start : start + rows], targets[start : start + rows]
            outputs = torch.addmm(bias, some, weight.T).log_softmax(dim=1)
            total = total + functional.nll_loss(outputs, own, counts, reduction="sum")
            errors = outputs.exp_()
            errors[torch.arange(len(own)), own] -= 1
            errors *= counts[own, None]
            slopes[0].addmm_(errors.T, some)
            slopes[1].add_(errors.sum(dim=0))
        weight.grad, bias.grad = (slope / len(inputs) for slope in slopes)
        return total / len(inputs)

    solver.step(loss)  # type: ignore[no-untyped-call]
