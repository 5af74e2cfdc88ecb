"""Processes of Ray, what they have at hand, and who does it when one of them dies."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Final, final

from headstart.contracts.executor import Work
from headstart.errors import HeadstartError, reason
from headstart.executors.ray.instance import library
from headstart.runtime import known

TRIES: Final = 3  # of the same pieces, whose workers died
PATIENCE: Final = 300.0  # seconds until a first worker must be there
_AHEAD: Final = 4  # times as many pieces as workers hold are on the way, or wait for earlier ones


@final
class Worker:
    """What lives in a process of Ray's, and does the work there."""

    def __init__(
        self, environment: Mapping[str, str], folder: str, versions: Mapping[str, str]
    ) -> None:
        self._environment, self._folder, self._versions = environment, folder, versions
        self._reference: Any = None
        self._work: Work[Any, Any] | None = None

    def problem(self) -> HeadstartError | None:
        """Get ready; why outcomes from here can't be those from there."""
        os.environ.update(self._environment)
        if Path(self._folder).is_dir():  # paths may begin there
            os.chdir(self._folder)
        here = known.versions()
        for name, version in self._versions.items():
            if here.get(name) != version:
                return HeadstartError(
                    f"A worker has {name} {here.get(name, 'not at all')}, and {version} is here. "
                    "Install the same versions on all machines."
                )
        return None

    def outcomes(self, shared: list[Any], pieces: list[Any]) -> list[Any] | HeadstartError:
        """The outcomes of some pieces, or what the user can mend; the work is opened once."""
        if self._work is None or self._reference != shared:
            self._work, self._reference = library().get(shared[0]), shared
        try:
            return list(self._work.stream(pieces))
        except HeadstartError as error:
            plain = type(error).__init__ is HeadstartError.__init__  # others don't travel
            return error if plain else HeadstartError(str(error))


@dataclass(frozen=True)
class _Flight:
    """Some pieces that a worker has at hand; none where it is only awaited."""

    worker: Any
    number: int = -1
    pieces: tuple[Any, ...] = ()
    tries: int = 0


@final
class Pool:
    """Workers, and who of them has what at hand."""

    def __init__(self, workers: list[Any]) -> None:
        self._workers, self._depth = workers, 1
        self._shared: list[Any] = []
        self._job = _job()
        self._flying: dict[Any, _Flight] = {}
        self._idle: deque[Any] = deque()
        self._again: deque[_Flight] = deque()  # whose worker died
        self._done: dict[int, list[Any] | HeadstartError] = {}

    def lives(self) -> bool:
        """Whether its workers belong to the instance that is connected now."""
        return self._job == _job()

    def outcomes(self, pieces: Iterator[Any], shared: Any, together: int) -> Iterator[Any]:
        """The outcome of each piece, in order, by the work that is shared."""
        self._shared = [shared]
        self._depth = 2 if together > 1 else 1  # so that none waits for its next pieces
        self._idle.clear()
        for worker in self._workers:
            if all(flight.worker is not worker for flight in self._flying.values()):
                self._await(worker)
        sent, handed_over, exhausted = 0, 0, False
        most = _AHEAD * self._depth * len(self._workers)
        while True:
            while handed_over in self._done:  # first, as then there is room for more
                outcomes = self._done.pop(handed_over)
                if isinstance(outcomes, HeadstartError):  # the first in order, whoever was fastest
                    raise outcomes
                yield from outcomes
                handed_over += 1
            while self._idle and self._again:
                self._send(self._again.popleft())
            while self._idle and not exhausted and sent - handed_over < most:
                some = tuple(islice(pieces, together))
                if exhausted := not some:
                    break
                self._send(_Flight(None, sent, some))
                sent += 1
            if exhausted and handed_over == sent:
                return
            self._land()

    def _send(self, flight: _Flight) -> None:
        worker = self._idle.popleft()
        reference = worker.outcomes.remote(self._shared, list(flight.pieces))
        self._flying[reference] = replace(flight, worker=worker, tries=flight.tries + 1)

    def _await(self, worker: Any) -> None:
        self._flying[worker.problem.remote()] = _Flight(worker)

    def _land(self) -> None:
        """Wait for a worker that is done, has come to life, or has died."""
        ray = library()
        working = any(flight.pieces for flight in self._flying.values()) or self._idle
        patience = None if working else PATIENCE
        landed, _ = ray.wait(list(self._flying), num_returns=1, timeout=patience)
        if not landed:
            raise HeadstartError(
                f"No worker of Ray was free within {PATIENCE:.0f} s. Ask for fewer --workers, or "
                "see what else the cluster computes."
            )
        for reference in landed:
            flight = self._flying.pop(reference)
            try:
                outcome = ray.get(reference)
            except ray.exceptions.RayTaskError:  # a defect, not a death
                raise
            except ray.exceptions.RayError as error:
                self._replaced(flight, error)
                continue
            if flight.pieces:
                self._done[flight.number] = outcome
                self._idle.append(flight.worker)
            elif outcome is not None:
                raise outcome
            else:
                busy = sum(each.worker is flight.worker for each in self._flying.values())
                self._idle.extend([flight.worker] * (self._depth - busy))

    def _replaced(self, flight: _Flight, error: Exception) -> None:
        """Let others do what a dead worker had at hand, and wait for the one in its place."""
        if flight.tries >= TRIES:
            raise HeadstartError(
                f"Workers died {TRIES} times over the same items ({reason(error)}). Ask for fewer "
                "--workers where memory is short, or give --on local to see what it is."
            ) from None
        if flight.pieces:
            self._again.append(flight)
        elif isinstance(error, library().exceptions.ActorDiedError):  # it can't come to life
            self._workers.remove(flight.worker)
            if not self._workers:
                raise HeadstartError(
                    f"No worker of Ray could start ({_cause(error)}). See that this package is "
                    "installed on all machines, or give --on local."
                ) from None
            return
        self._idle = deque(worker for worker in self._idle if worker is not flight.worker)
        others = [each for each in self._flying.values() if each.worker is flight.worker]
        if all(each.pieces for each in others):
            self._await(flight.worker)


def _job() -> str:
    """What Ray calls the time from when it was connected until it isn't any more."""
    return str(library().get_runtime_context().get_job_id())


def _cause(error: Exception) -> str:
    """The last line of what Ray says of a worker, which is the first cause."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return reason(lines[-1]) if lines else reason(error)
