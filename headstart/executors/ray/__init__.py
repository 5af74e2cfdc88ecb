"""On the workers of Ray: one process for each core, on this machine or on a cluster's.

Items travel as names of files, activations as arrays; nothing that is decoded leaves its worker.
What Ray sends it pickles, between processes of one user that trust one another; the instance that
is started here listens to this machine alone, and asks for a token.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable
from importlib.util import find_spec
from itertools import chain, islice
from typing import Any, Final, final

from headstart.contracts.executor import Executor, Outcome, Piece, Work
from headstart.errors import HeadstartError, reason
from headstart.executors.ray.instance import OWN, connect, demand_room, library
from headstart.executors.ray.pool import Pool, Worker
from headstart.runtime import known
from headstart.runtime.installed import installation

_PASSED_ON: Final = ("HEADSTART_CACHE", "HF_HUB_OFFLINE", "HF_HOME", "HF_HUB_CACHE")


@final
class Ray(Executor):
    """Workers of an instance on this machine, or of a cluster whose address is given.

    The instance is started when it is first needed, and lives as long as this process; where one
    is connected already, as in a notebook, that is used. `auto` is the cluster that this machine
    belongs to. Several workers on few cores share them.
    """

    _pool: Pool | None = None  # workers that live on from one work to the next

    def start(self) -> None:
        """Connect, where there is an address.

        Raises HeadstartError where Ray isn't installed, nobody answers at the address, or no
        connection may be opened there.
        """
        if find_spec("ray") is None:
            raise HeadstartError(f"--on ray needs Ray. Run: {installation('ray')}")
        if self.address in OWN:
            demand_room(self.workers)
        elif self.offline:
            raise HeadstartError(
                f"ray:{self.address} is a cluster, which may reach other machines, and no "
                "connection may be opened. Leave out --offline, or give --on ray."
            )
        else:
            connect(self.address, self.workers, self.offline)

    def run(
        self, work: Work[Piece, Outcome], pieces: Iterable[Piece]
    ) -> Generator[Outcome, None, None]:
        """The outcome of each piece, in order, from workers that end with the last one."""
        rest = iter(pieces)
        for first in islice(rest, 1):
            connect(self.address, self.workers, self.offline)
            shared = _shared(work.settled(first))  # held, as workers that restart ask for it
            pool, self._pool = self._pool, None  # another generator may begin before this one ends
            pool = pool if pool and pool.lives() else Pool(self._workers())
            yield from pool.outcomes(chain([first], rest), shared, work.together)
            self._pool = pool  # else, where it is not done, its workers end with it

    def _workers(self) -> list[Any]:
        """Actors, which share the cores where they are more than those."""
        ray = library()
        cores = float(ray.cluster_resources().get("CPU", 1))
        workers = self.workers or max(1, int(cores))
        share = 1.0 if workers <= cores else int(1e4 * cores / workers) / 1e4
        passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        kind = ray.remote(num_cpus=share, max_restarts=-1)(Worker)
        return [kind.remote(passed_on, os.getcwd(), known.versions()) for _ in range(workers)]


def _shared(work: Work[Any, Any]) -> Any:
    """A reference to the work, sent once to each machine."""
    try:
        return library().put(work)
    except (TypeError, AttributeError, ValueError) as error:
        raise HeadstartError(
            f"This network can't be sent to workers ({reason(error)}). Give --on local."
        ) from None
