"""A server from its first request to its last."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, final

import uvicorn

from headstart.drift.watching import Event
from headstart.errors import HeadstartError
from headstart.results.watched import line
from headstart.runtime.machine import threads_for
from headstart.runtime.progress import Progress
from headstart.server.access import VARIABLE, Access, is_loopback, token_from
from headstart.server.answering import Answering, log_answers
from headstart.server.application import Application
from headstart.server.batching import Job
from headstart.server.explaining import Explaining
from headstart.server.journal import SUFFIX, Journal, now
from headstart.server.limits import Limits
from headstart.server.measures import Measures
from headstart.server.shelf import FolderWatch, Served, Shelf, folders
from headstart.server.versions import Listeners

_GRACE: Final = 5  # seconds beyond those that a request may take
_IDLE: Final = 30  # seconds that a connection is kept for a next request
_BACKLOG: Final = 2048
_CONNECTIONS: Final = 900  # below the 1,024 files that a process may usually have open
_PORTS: Final = 65536


@final
@dataclass(frozen=True)
class Address:
    """Where a server listens, and what opens it: `token_file`, else the environment."""

    host: str = "127.0.0.1"
    port: int = 8000
    token_file: str | None = None
    without_token: bool = False


@final
@dataclass(frozen=True)
class Service:
    """What is served: models, as NAME=FOLDER or a folder; within which limits; logged where.

    `look` is how often a change of the folders is looked for, in seconds. With `explain` what
    explanations take is loaded at the start, not with the first of them.
    """

    models: Sequence[str]
    address: Address = field(default_factory=Address)
    limits: Limits = field(default_factory=Limits)
    log: Path | None = None
    look: float = 2.0
    explain: bool = False


@final
@dataclass(frozen=True)
class Ended:
    """What a server answered till it ended."""

    items: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        """{"answered": {model: items}}."""
        return {"answered": dict(self.items)}

    def __str__(self) -> str:
        each = ", ".join(f"{count} by {name}" for name, count in self.items.items())
        return f"Stopped. Answered: {each}."


@final
class Ledger:
    """Where what a model does is written: its log, its drift, counters, the terminal."""

    def __init__(
        self, name: str, journal: Journal | None, drift: Journal | None, measures: Measures
    ) -> None:
        self.name = name
        self.items = 0
        self._journal = journal
        self._drift = drift
        self._measures = measures
        self._lock = threading.Lock()  # while models are swapped two versions write

    def finish(self, jobs: Sequence[Job], version: str) -> None:
        """Log finished jobs. Raises OSError."""
        with self._lock:
            log_answers(self._journal, jobs, version)
            self.items += sum(not each.error for job in jobs for each in job.answers.values())
        for job in jobs:
            failed = sum(bool(each.error) for each in job.answers.values())
            for outcome, count in (("answered", len(job.items) - failed), ("refused", failed)):
                self._measures.items.labels(self.name, outcome).inc(count)

    def drift(self, served: Served, progress: Progress, event: Event) -> None:
        """Say so where inputs are not as they were, or are so again."""
        log = () if self._journal is None else (str(self._journal.path),)
        sentence = line(event, (str(served.folder), *log))
        served.alarm = sentence if event.is_alarm else ""
        if event.is_alarm:
            self._measures.alarms.labels(self.name).inc()
        progress.warn(f"{self.name}: {sentence}")
        if self._drift is not None:
            row = {"time": now(), "alarm": event.is_alarm, "after": event.after, "said": sentence}
            with self._lock:
                self._drift.write([row])


def serve(service: Service, progress: Progress) -> Ended:
    """Serve models until the process is asked to end (SIGTERM or Ctrl-C), then finish what began.

    Raises HeadstartError where a model can't be opened, the address can't be used, or others than
    this machine could ask without a token.
    """
    limits, places = service.limits.demand_sound(), folders(service.models)
    access = _access(service.address, progress)
    with ExitStack() as stack:
        stack.enter_context(threads_for(0))  # requests share the cores, not the sums of one
        measures, answering = Measures(), Answering(limits)
        stack.callback(answering.close)
        ledgers: dict[str, Ledger] = {}
        models: dict[str, Served] = {}
        for name, folder in places.items():
            ledgers[name] = Ledger(name, *_journals(service.log, name, stack), measures)
            models[name] = _served(name, folder, answering, ledgers[name], measures, progress)
        listener = stack.enter_context(closing(_listening(service.address)))
        for served in models.values():
            stack.callback(served.open().close)
        url = _url(service.address.host, listener)
        shelf, explaining = Shelf(models), Explaining(limits, answering.room)
        stack.callback(explaining.close)
        for served in models.values() if service.explain else ():
            explaining.prepare(served)
        watch = FolderWatch(shelf, service.look, partial(_swapped, measures, progress))
        application = Application(shelf, answering, explaining, measures, access, url)
        watch.start()
        stack.callback(watch.close)
        progress.say(f"Serving {', '.join(models)} at {url}; how to ask: {url}/docs")
        if service.log is not None:
            progress.say(f"Answers are logged in {service.log}.")
        _run(application, listener, limits)
    return Ended({name: each.items for name, each in ledgers.items()})


def _served(
    name: str,
    folder: Path,
    answering: Answering,
    ledger: Ledger,
    measures: Measures,
    progress: Progress,
) -> Served:
    def measure(items: int, seconds: float) -> None:
        answering.room.measure(items, seconds)
        measures.batches.labels(name).observe(items)

    def drift(event: Event) -> None:
        ledger.drift(served, progress, event)

    served = Served(name, folder, answering.limits, Listeners(ledger.finish, measure, drift))
    return served


def _swapped(measures: Measures, progress: Progress, served: Served) -> None:
    measures.swaps.labels(served.name, "refused" if served.problem else "taken").inc()
    if served.problem:
        progress.warn(f"{served.name} stays as it was: {served.problem}")
    else:
        progress.say(f"{served.name} is version {served.version.name} now.")


def _journals(
    folder: Path | None, name: str, stack: ExitStack
) -> tuple[Journal | None, Journal | None]:
    """The logs of a model's answers and of its drift; none where there is no folder for them."""
    if folder is None:
        return None, None
    answers, drift = (
        stack.enter_context(closing(Journal(folder / f"{name}{kind}{SUFFIX}").open()))
        for kind in ("", ".drift")
    )
    return answers, drift


def _access(address: Address, progress: Progress) -> Access:
    """Who may ask. Raises HeadstartError where anybody could, who was not meant to."""
    token, loopback = token_from(address.token_file), is_loopback(address.host)
    if not loopback and not token and not address.without_token:
        raise HeadstartError(
            f"{address.host} can be reached from other machines, and no token is set. Put one into "
            f"{VARIABLE} or a file for --token-file, or let anyone ask with --without-token."
        )
    if not loopback and not token:
        progress.warn(
            f"Whoever reaches {address.host} may ask without a token, read reports and swap models."
        )
    return Access(token, loopback)


def _listening(address: Address) -> socket.socket:
    """A socket at an address. Raises HeadstartError where it can't be had."""
    try:
        if not 0 <= address.port < _PORTS:  # which the system would cut to one that exists
            raise OverflowError(f"ports are below {_PORTS}")
        resolved = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(resolved[0], socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(resolved[4])
            listener.listen(_BACKLOG)
        except BaseException:
            listener.close()
            raise
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise HeadstartError(
            f"{address.host} port {address.port} can't be used ({reason}). "
            "Give another --port, 0 for one that is free, or another --host."
        ) from None
    return listener


def _url(host: str, listener: socket.socket) -> str:
    address = f"[{host}]" if ":" in host else host
    return f"http://{address}:{listener.getsockname()[1]}"


@contextmanager
def _ending() -> Iterator[None]:
    """What uvicorn raises anew after it has ended in order is no interruption."""
    try:
        yield
    except KeyboardInterrupt:
        return


def _run(application: Application, listener: socket.socket, limits: Limits) -> None:
    config = uvicorn.Config(
        application.build(),
        log_config=None,
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        lifespan="off",
        ws="none",
        limit_concurrency=_CONNECTIONS,
        timeout_keep_alive=_IDLE,
        timeout_graceful_shutdown=int(limits.seconds) + _GRACE,
    )
    with _ending():
        uvicorn.Server(config).run(sockets=[listener])
