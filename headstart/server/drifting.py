"""Drift of what a served model is asked, watched while it answers."""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from queue import Full, Queue
from typing import Final, final

from headstart.drift import Reference
from headstart.drift.shift import FEWEST
from headstart.drift.watching import Event, Rows, Watch
from headstart.serve import Predictor

_WAITING: Final = 256  # batches

Seen = tuple[Sequence[str], Rows]  # names, with features, outputs and predictions


def watchable(predictor: Predictor) -> Reference | None:
    """What a model's stream can be held to; None where it keeps too few held-out items."""
    reference = predictor.reference
    enough = reference is not None and len(reference) >= FEWEST and predictor.limits is not None
    return reference if enough else None


@final
class DriftWatch:
    """A thread that looks at what was answered, after it was answered.

    Where requests come faster than it can look, batches are left out and counted in `left_out`.
    """

    def __init__(self, predictor: Predictor, reference: Reference, tell: Callable[[Event], None]):
        predictions = predictor.task.predictions(reference.outputs)
        self._watch = Watch(reference, predictions, predictor.labels)
        self._tell = tell
        self._queue: Queue[Seen | None] = Queue(_WAITING)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.left_out = 0

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def add(self, names: Sequence[str], rows: Rows) -> None:
        """Look at answered items, soon."""
        try:
            self._queue.put_nowait((names, rows))
        except Full:
            self.left_out += len(names)

    def close(self) -> None:
        """End when what waits was looked at."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (answers := self._queue.get()) is not None:
            try:
                for event in self._watch.add(*answers):
                    self._tell(event)
            except Exception as error:  # answers go on without it
                traceback.print_exception(error, file=sys.stderr)
