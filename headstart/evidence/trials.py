"""Independent trainings of one run, done wherever its executor works."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from headstart.contracts import Backbone
from headstart.contracts.executor import Each, Executor
from headstart.evidence.arms import ArmResult
from headstart.evidence.experiment import Experiment
from headstart.runtime.budget import Budget

Outcome = TypeVar("Outcome")


@dataclass(frozen=True)
class Start:
    """What trainings begin with: data, network, and where they begin there the probe's outcome."""

    experiment: Experiment
    backbone: Backbone
    features: ArmResult | None = None

    @property
    def probe(self) -> ArmResult:
        """What trainings from a probe begin with. Raises ValueError where there is none."""
        if self.features is None:
            raise ValueError("no probe was fitted")
        return self.features


class Trial(NamedTuple):
    """One of several trainings: which one, when the run ends, and when this must be done.

    A budget counts on while it is sent, and its time begins where it is read: so it goes with the
    trial, which is made when a worker is free, and never with what all of them share.
    """

    what: Any
    budget: Budget
    until: Budget


def outcomes(
    executor: Executor, call: Callable[[Trial], Outcome], trials: Iterable[Trial]
) -> Iterator[Outcome]:
    """What each trial comes to, in their order; what the call is bound to is sent once a worker.

    Raises HeadstartError for what the executor or a trial refuses.
    """
    with closing(executor.run(Each(call), trials)) as each:
        yield from each


def slot(until: Budget, waiting: int, executor: Executor) -> Budget:
    """The next trial's part of the time that is left, where so many wait for the workers."""
    return until.part(-(-waiting // (executor.workers or 1)))


def place(experiment: Experiment, name: str) -> Path | None:
    """The folder for the checkpoints of a part of the run, there where a worker may look for it."""
    folder = experiment.workspace / name if experiment.workspace else None
    if folder and experiment.executor.apart:
        folder.mkdir(parents=True, exist_ok=True)
    return folder
