"""The frozen prefix as work that an executor hands out: items go to workers, activations return."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, ClassVar, NamedTuple, final

from headstart.contracts.executor import Work
from headstart.data import Item
from headstart.errors import HeadstartError
from headstart.features.engine import Engine, EngineError
from headstart.features.reading import Reader, View

Choose = Callable[[Any], Engine]  # what runs a batch of model inputs like these


class Activated(NamedTuple):
    """The activations of one batch, and the engine that they are of."""

    values: Any
    engine: str
    precision: str


@final
class Activating(Work[Sequence[Item], Activated]):
    """Batches of items, read and decoded where they are run.

    An item's activations may hang on the items beside it in a batch, in their last bits, but on no
    other batch and on no number of threads: so batches are pieces of work, and stay what they are.
    """

    together: ClassVar[int] = 8

    def __init__(self, choose: Choose, reader: Reader, view: View | None) -> None:
        self._choose, self._reader, self._view = choose, reader, view

    def stream(self, pieces: Iterable[Sequence[Item]]) -> Iterator[Activated]:
        """The activations of each batch; the next ones are decoded meanwhile."""
        batches = self._reader.inputs(pieces, self._view)
        first = next(batches, None)
        if first is None:
            return
        engine = self._choose(first)
        for values in engine.stream(chain([first], batches)):
            yield Activated(values, engine.name, engine.precision)

    def settled(self, first: Sequence[Item]) -> Activating:
        """The same with the engine that would run it here.

        Raises HeadstartError where that engine runs nowhere else.
        """
        engine = self._choose(next(self._reader.inputs([first], self._view)))
        try:
            made_elsewhere = _Elsewhere(engine.maker())
        except EngineError as error:
            raise HeadstartError(
                f"Engine {engine.name} can't run in workers: {error}. Give --on local."
            ) from None
        return Activating(made_elsewhere, self._reader, self._view)


@final
class _Elsewhere:
    """An engine made once in each worker, on one thread, as there is a worker for each core."""

    def __init__(self, make: Callable[[int], Engine]) -> None:
        self._make = make
        self._engine: Engine | None = None

    def __call__(self, inputs: Any) -> Engine:
        if self._engine is None:
            self._engine = self._make(1)
        return self._engine
