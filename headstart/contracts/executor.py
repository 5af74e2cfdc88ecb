"""Where independent pieces of work run: in this process, or in workers on one machine or several.

Work says what is done to a piece, an executor where. Outcomes come in the order of the pieces, and
hang on nothing but the piece: not on the worker, nor on how many there are. Whatever is drawn at
random therefore follows a seed of the piece's own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import ClassVar, Generic, TypeVar, final

from headstart.errors import HeadstartError

Piece = TypeVar("Piece")
Outcome = TypeVar("Outcome")


class Work(ABC, Generic[Piece, Outcome]):
    """What is done to each piece. Each worker has a copy, and keeps in it what is dear to make."""

    together: ClassVar[int] = 1  # pieces that a worker is handed at once

    @abstractmethod
    def stream(self, pieces: Iterable[Piece]) -> Iterator[Outcome]:
        """The outcome of each piece, in order.

        Called once for all pieces where they stay in this process, else for some at a time. Raises
        HeadstartError for what the user can mend; it reaches whoever waits for the outcomes.
        """

    def settled(self, first: Piece) -> Work[Piece, Outcome]:
        """The same work with all decided on which workers must agree, by the first piece.

        Called in the user's process before anything is sent; the answer must be picklable.
        """
        return self


@final
class Each(Work[Piece, Outcome]):
    """One call a piece, of a function that can be sent to workers."""

    def __init__(self, call: Callable[[Piece], Outcome]) -> None:
        self._call = call

    def stream(self, pieces: Iterable[Piece]) -> Iterator[Outcome]:
        """The function's answers."""
        return map(self._call, pieces)


class Executor(ABC):
    """Runs work on pieces; used by one thread at a time.

    It is made of an address, empty where the user names none, how many workers are wanted, and
    whether no connection may leave this machine. `apart` is whether others than this process work.
    """

    apart: ClassVar[bool] = True

    def __init__(
        self, address: str = "", workers: int | None = None, offline: bool = False
    ) -> None:
        self.address = address
        self.workers = workers  # that compute at the same time; None where it isn't known yet
        self.offline = offline

    def __reduce__(self) -> tuple[type[Executor], tuple[()]]:
        """What is sent to a worker computes there."""
        return Local, ()

    @abstractmethod
    def start(self) -> None:
        """Get ready, before any other work. Raises HeadstartError where it can't run so."""

    @abstractmethod
    def run(
        self, work: Work[Piece, Outcome], pieces: Iterable[Piece]
    ) -> Generator[Outcome, None, None]:
        """The outcome of each piece, in order; pieces are asked for a few ahead of the outcomes.

        A worker that dies is replaced, and what it had at hand is computed again. Raises
        HeadstartError where that happens several times over the same pieces, and what the work
        raises. Closing the generator ends the work.
        """


@final
class Local(Executor):
    """One worker, this process, whose libraries compute on all cores by themselves."""

    apart: ClassVar[bool] = False

    def start(self) -> None:
        """Raises HeadstartError where an address or several workers are named."""
        if self.address or (self.workers or 1) > 1:
            option = f"on local:{self.address}" if self.address else f"workers {self.workers}"
            raise HeadstartError(
                f"{option} can't be: this process alone computes, on all cores. "
                "Give --on ray beside it, or leave it out."
            )

    def run(
        self, work: Work[Piece, Outcome], pieces: Iterable[Piece]
    ) -> Generator[Outcome, None, None]:
        """The outcome of each piece, in order."""
        yield from work.stream(pieces)
