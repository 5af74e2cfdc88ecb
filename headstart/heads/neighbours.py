"""The nearest training items, by the angle between features."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from headstart.contracts.head import HeadFitter, Shape, TrainingSet, damaged, demand_tensors
from headstart.contracts.standardisation import Standardisation
from headstart.contracts.targets import Encoding

COUNTS = (1, 3, 5, 10, 20, 50)
_SHARPNESS = 0.07  # of a similarity, over which a neighbour's say falls by e
_LEAST = 1e-6  # the smallest probability
_TENSORS = {
    "features": ("items", "width"),
    "centre": ("width",),
    "targets": ("items", "labels"),
    "weights": ("items",),
    "prior": ("labels",),
    "count": (),
}


@final
class NearestNeighbours(HeadFitter):
    """The labels or the mean of the nearest training items, which the head keeps.

    Near means a small angle between centred features; nearer ones count more (Wu et al. 2018). The
    labels' frequencies count as one neighbour more, so that nothing has probability 0.
    """

    def candidates(self, training: TrainingSet) -> Iterator[Neighbours]:
        """A head for each number of neighbours. Raises DataError for features not finite."""
        centre = torch.from_numpy(Standardisation.of(training.features).mean).float()
        targets = training.memberships()
        features = functional.normalize(torch.from_numpy(training.features) - centre)
        tensors = {
            "features": features,
            "centre": centre,
            "targets": torch.from_numpy(targets).float(),
            "weights": torch.from_numpy(training.weights).float(),
            "prior": torch.from_numpy(np.average(targets, 0, training.weights)).float(),
        }
        for count in [count for count in COUNTS if count <= len(targets)]:
            yield Neighbours({**tensors, "count": torch.tensor(count)}, training.shape.encoding)

    def restored(self, state: Mapping[str, Tensor], shape: Shape) -> nn.Module:
        """The same neighbours. Raises WeightsError where the tensors are none."""
        sizes = {"width": shape.width, "labels": shape.labels}
        items = demand_tensors(state, _TENSORS, sizes, ["count"])["items"]
        if not 1 <= int(state["count"]) <= items:
            raise damaged(f"{int(state['count'])} neighbours of {items} items")
        return Neighbours(state, shape.encoding)


@final
class Neighbours(nn.Module):
    """Features (N, D) to outputs (N, labels) by the neighbours among those that it keeps."""

    features: Tensor
    centre: Tensor
    targets: Tensor
    weights: Tensor
    prior: Tensor

    def __init__(self, tensors: Mapping[str, Tensor], encoding: Encoding) -> None:
        super().__init__()
        for name in _TENSORS:
            self.register_buffer(name, tensors[name])
        self.neighbours = int(tensors["count"])
        self.encoding = encoding

    def forward(self, inputs: Tensor) -> Tensor:
        """Log probabilities, log odds of each label, or numbers."""
        directions = functional.normalize(inputs - self.centre)
        near, which = (directions @ self.features.T).topk(self.neighbours)
        say = (near / _SHARPNESS).softmax(dim=1) * self.weights[which]
        say = say / say.sum(dim=1, keepdim=True)
        means = (say[:, :, None] * self.targets[which]).sum(dim=1)
        if self.encoding is Encoding.AMOUNTS:
            return means
        share = (self.neighbours * means + self.prior) / (self.neighbours + 1)
        share = share.clamp(_LEAST, 1 - _LEAST)
        if self.encoding is Encoding.INDEX:
            return share.log()
        return share.log() - (1 - share).log()
