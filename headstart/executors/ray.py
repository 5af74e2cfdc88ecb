"""On the workers of Ray: one process for each core, on this machine or on a cluster's.

Items travel as names of files, activations as arrays; nothing that is decoded leaves its worker.
What Ray sends it pickles, between processes of one user that trust one another; Ray's token keeps
others out of the instance that is started here.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from itertools import chain, islice
from pathlib import Path
from socket import create_connection
from typing import Any, Final, final

from headstart.contracts.executor import Executor, Outcome, Piece, Work
from headstart.errors import HeadstartError, reason
from headstart.runtime import known
from headstart.runtime.installed import installation

TRIES: Final = 3  # of the same pieces, whose workers died
PATIENCE: Final = 300.0  # seconds until a first worker must be there
STORE: Final = (
    256 << 20
)  # bytes of shared memory: a network's constants, and activations on the way
_AHEAD: Final = 4  # times as many pieces as workers hold are on the way, or wait for earlier ones
_PASSED_ON: Final = ("HEADSTART_CACHE", "HF_HUB_OFFLINE", "HF_HOME", "HF_HUB_CACHE")
_QUIET: Final = {"log_to_driver": False, "logging_level": "ERROR"}
_HERE: Final = ("", "auto", "local", "localhost", "127.0.0.1", "[::1]")


@final
class Ray(Executor):
    """Workers of an instance on this machine, or of a cluster whose address is given.

    The instance is started when it is first needed, and lives as long as this process; where one
    is connected already, as in a notebook, that is used. `auto` is the cluster that this machine
    belongs to. Several workers on few cores share them.
    """

    _pool: _Pool | None = None  # workers that live on from one work to the next

    def __init__(
        self, address: str = "", workers: int | None = None, offline: bool = False
    ) -> None:
        self.address = address
        self.workers = workers
        self.offline = offline

    def start(self) -> None:
        """Connect, where there is an address.

        Raises HeadstartError where Ray isn't installed, nobody answers at the address, or no
        connection may be opened there.
        """
        if find_spec("ray") is None:
            raise HeadstartError(f"--on ray needs Ray. Run: {installation('ray')}")
        host = self.address.removeprefix("ray://").rpartition(":")[0] or self.address
        if self.offline and host not in _HERE:
            raise HeadstartError(
                f"{self.address} is on another machine, and no connection may be opened. "
                "Leave out --offline, or give --on ray."
            )
        if self.address:
            self._connect()

    def _connect(self) -> None:
        """Join the cluster at the address, or start an instance here; once in a process."""
        ray = _library()
        if ray.is_initialized():
            return
        if self.address:
            host, _, port = self.address.removeprefix("ray://").rpartition(":")
            try:
                if port.isdecimal():  # as Ray tries for minutes
                    create_connection((host.strip("[]"), int(port)), 5).close()
                ray.init(self.address, **_QUIET)
            except (ValueError, RuntimeError, OSError, OverflowError) as error:
                raise HeadstartError(
                    f"No cluster of Ray answers at {self.address} ({reason(error)}). Start one "
                    "there with `ray start --head`, or give --on ray for one on this machine."
                ) from None
            return
        own = {"object_store_memory": STORE, "_node_ip_address": "127.0.0.1", **_QUIET}
        cores = max(os.cpu_count() or 1, self.workers or 1)
        try:
            ray.init("local", num_cpus=cores, include_dashboard=False, **own)
        except Exception as error:  # it raises plain ones, as where a machine is too busy
            ray.shutdown()
            raise HeadstartError(
                f"Ray can't start here ({reason(error)}). Run it again when the machine has less "
                "to do, or give --on local."
            ) from None

    def run(
        self, work: Work[Piece, Outcome], pieces: Iterable[Piece]
    ) -> Generator[Outcome, None, None]:
        """The outcome of each piece, in order, from workers that end with the last one."""
        left = iter(pieces)
        for first in islice(left, 1):
            self._connect()
            shared = _shared(work.settled(first))  # held, as workers that restart ask for it
            pool, self._pool = self._pool, None  # another generator may begin before this one ends
            pool = pool if pool and pool.lives() else _Pool(self._workers())
            yield from pool.outcomes(chain([first], left), shared, work.together)
            self._pool = pool  # else, where it is not done, its workers end with it

    def _workers(self) -> list[Any]:
        """Actors, which share the cores where they are more than those."""
        ray = _library()
        cores = float(ray.cluster_resources().get("CPU", 1))
        workers = self.workers or max(1, int(cores))
        share = 1.0 if workers <= cores else int(1e4 * cores / workers) / 1e4
        passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        kind = ray.remote(num_cpus=share, max_restarts=-1)(_Worker)
        return [kind.remote(passed_on, os.getcwd(), known.versions()) for _ in range(workers)]


def _shared(work: Work[Any, Any]) -> Any:
    """A reference to the work, sent once to each machine."""
    try:
        return _library().put(work)
    except (TypeError, AttributeError, ValueError) as error:
        raise HeadstartError(
            f"This network can't be sent to workers ({reason(error)}). Give --on local."
        ) from None


class _Worker:
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
            self._work, self._reference = _library().get(shared[0]), shared
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
class _Pool:
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
        ray = _library()
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
        elif isinstance(error, _library().exceptions.ActorDiedError):  # it can't come to life
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
    return str(_library().get_runtime_context().get_job_id())


def _cause(error: Exception) -> str:
    """The last line of what Ray says of a worker, which is the first cause."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return reason(lines[-1]) if lines else reason(error)


def _library() -> Any:
    """Ray, which tells nobody that it is used."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    return ray
