"""Several saved models as one, which reads each input once and runs each network once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, final

import numpy as np

from headstart.contracts.several import Part, Several
from headstart.drift import AnswerLimits
from headstart.errors import HeadstartError
from headstart.serve.predictor import Predictor
from headstart.serve.running import Running

if TYPE_CHECKING:
    from headstart.contracts.model import Model


@final
class SideBySide(Running):
    """Features of each network once, and all heads on them.

    `networks` names for each task the one whose features its head reads, by the task that it is
    taken from.
    """

    def __init__(self, members: Mapping[str, Predictor], networks: Mapping[str, str]) -> None:
        self._members = members
        self._networks = networks
        self._own = {name: members[name] for name in dict.fromkeys(networks.values())}
        self.reader = next(iter(members.values())).running.reader
        self._widths: tuple[int, ...] = ()

    def opened(self) -> Model:
        """Raises HeadstartError: there are several."""
        raise HeadstartError(
            f"The model answers several tasks ({', '.join(self._members)}), and this takes the "
            "network of one. Give the folder of that task, which lies in the model's."
        )

    def features(self, inputs: Any) -> np.ndarray:
        """Pooled features (N, D) of all networks, side by side."""
        each = [member.running.features(inputs) for member in self._own.values()]
        self._widths = tuple(part.shape[1] for part in each)
        return np.concatenate(each, axis=1)

    def outputs(self, inputs: Any) -> np.ndarray:
        """Head outputs (N, all labels) float32."""
        return self.headed(self.features(inputs))

    def headed(self, features: np.ndarray) -> np.ndarray:
        """Head outputs (N, all labels) float32."""
        parts = self.parts(features)
        return np.concatenate(
            [each.headed(parts[name]) for name, each in self._members.items()], axis=1
        )

    def parts(self, features: np.ndarray) -> dict[str, np.ndarray]:
        """For each task the features (N, D) that its head reads."""
        ends = pairwise(accumulate(self._widths, initial=0))
        own = {name: features[:, a:b] for name, (a, b) in zip(self._own, ends, strict=True)}
        return {name: own[network] for name, network in self._networks.items()}


@final
@dataclass(frozen=True)
class LimitsByTask(AnswerLimits):
    """How far each of several answers can be trusted, where that is known."""

    running: SideBySide
    task: Several
    limits: Mapping[str, AnswerLimits]

    def of(
        self, features: np.ndarray, outputs: np.ndarray, predictions: np.ndarray
    ) -> list[dict[str, Any]]:
        """For each input what `Limits.of` says of each task, by its name."""
        parts, own = self.running.parts(features), self.task.outputs_of(outputs)
        each = {
            name: limits.of(
                parts[name], own[name], self.task.parts[name].task.predictions(own[name])
            )
            for name, limits in self.limits.items()
        }
        return [{name: rows[place] for name, rows in each.items()} for place in range(len(outputs))]

    @property
    def held_out(self) -> int:
        """The items of the task that has fewest."""
        return min(limits.held_out for limits in self.limits.values())

    @property
    def can_refuse(self) -> bool:
        """Whether every task has held-out items enough to call an input unlike them."""
        return all(limits.can_refuse for limits in self.limits.values())


def joined(members: Mapping[str, Predictor], networks: Mapping[str, str], device: str) -> Predictor:
    """Models that take the same inputs, as one that answers all of their tasks.

    `networks` names for each task one whose network is the same.
    """
    first = next(iter(members.values()))
    running = SideBySide(members, networks)
    task = Several({name: Part(each.task, each.labels) for name, each in members.items()})
    labels = [label for each in members.values() for label in each.labels]
    predictor = Predictor(running, task, first.reader, labels, device, first.schema)
    limits = {name: each.limits for name, each in members.items() if each.limits is not None}
    if limits:
        predictor.limits = LimitsByTask(running, task, limits)
    return predictor
