"""A network whose features are averaged over several looks at the same inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, final

import numpy as np

from headstart.contracts.frozen import LinearHead
from headstart.features.engine.interface import Engine

if TYPE_CHECKING:  # so that frozen features need no torch
    from torch import nn

Look = Callable[[Any, str], Any]  # a batch of model inputs, looked at in the way of a name


@final
class Averaged(Engine):
    """Mean features of a body over looks, and what a head makes of them.

    For a linear head that is the mean of its outputs over the looks (test-time augmentation, as in
    Krizhevsky et al. 2012). `bodies` run each look, by its name; "" is the inputs as they are.
    """

    def __init__(
        self, bodies: Mapping[str, Engine], head: nn.Module | LinearHead, look: Look
    ) -> None:
        first = next(iter(bodies.values()))
        self.name, self.precision = first.name, first.precision
        self._bodies, self._head, self._look = bodies, head, look

    def run(self, inputs: Any) -> np.ndarray:
        """One batch of model inputs -> outputs (N, labels) in float32."""
        each = [
            body.run(self._look(inputs, name) if name else inputs)
            for name, body in self._bodies.items()
        ]
        return self._headed(each)

    def stream(self, batches: Iterable[Any]) -> Iterator[np.ndarray]:
        """The outputs of each batch, in order; where there is one look, as its engine streams."""
        body = self._bodies.get("")
        if body is None or len(self._bodies) > 1:
            return super().stream(batches)
        return (self._headed([features]) for features in body.stream(batches))

    def _headed(self, each: list[np.ndarray]) -> np.ndarray:
        if isinstance(self._head, LinearHead):
            return self._head(mean(each))
        import torch

        with torch.inference_mode():
            rows: np.ndarray = self._head.cpu().eval()(torch.from_numpy(mean(each))).numpy()
        return rows


def mean(features: list[np.ndarray]) -> np.ndarray:
    """The mean of several looks' features, (N, D) float32."""
    return np.asarray(np.mean(features, axis=0, dtype=np.float32))
