"""Linear heads that gradient descent trains on both domains at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from headstart.contracts.domains import Domains
from headstart.contracts.logistic import Layer

Loss = Callable[[Tensor], Tensor]  # from the target's outputs (T, classes)
STEPS, RATE = 150, 2e-3  # of Adam on all items at once, on standardised features


def trained(
    domains: Domains, target: np.ndarray, loss: Loss, weights: np.ndarray | None = None
) -> Layer:
    """The source's layer after descent on its own loss plus that of the target's items (T, D).

    `weights` (S,) says how much source items count. Nothing is drawn: equal inputs give equal bits.
    """
    layer = _layer(domains)
    inputs, outside = (as_tensor(part) for part in (domains.inputs, target))
    labels = torch.from_numpy(domains.targets)
    counts = torch.ones(len(labels)) if weights is None else as_tensor(weights)
    optimiser = torch.optim.Adam(layer.parameters(), lr=RATE)
    for _ in range(STEPS):
        optimiser.zero_grad()
        each = functional.cross_entropy(layer(inputs), labels, reduction="none")
        total = (each * counts).sum() / counts.sum() + loss(layer(outside))
        total.backward()  # type: ignore[no-untyped-call]  # torch has no types there
        optimiser.step()
    weight, bias = layer.weight.detach().double(), layer.bias.detach().double()
    return weight.numpy(), bias.numpy()


def entropies(probabilities: Tensor) -> Tensor:
    """The entropy of each row of probabilities (N, classes), (N,)."""
    return -(probabilities * torch.log(probabilities + 1e-8)).sum(dim=1)


def _layer(domains: Domains) -> nn.Linear:
    weight, bias = domains.start
    layer = nn.Linear(weight.shape[1], len(weight))
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weight))
        layer.bias.copy_(torch.from_numpy(bias))
    return layer


def as_tensor(values: np.ndarray) -> Tensor:
    """The same numbers in single precision."""
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
