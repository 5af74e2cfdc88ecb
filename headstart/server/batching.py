"""Items of several requests, joined for one run of the network."""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import final

from headstart.errors import named_reason
from headstart.serve import Prediction
from headstart.serve.decoding import Decoded
from headstart.server.limits import Limits


@final
class Job:
    """The items of one request, and their answers as they come.

    `done` is called once, from the thread that answers, when all are there and in the log, or with
    `error` set. One that is `abandoned` is answered no more.
    """

    def __init__(self, name: str, items: Sequence[Decoded], done: Callable[[], object]) -> None:
        self.name = name
        self.items = items
        self.done = done
        self.answers: dict[int, Prediction] = {}
        self.error: Exception | None = None
        self.abandoned = False

    @property
    def complete(self) -> bool:
        """Whether every item has an answer."""
        return len(self.answers) == len(self.items)

    def predictions(self) -> list[Prediction]:
        """The answers in the items' order."""
        return [self.answers[place] for place in range(len(self.items))]


Unit = tuple[Job, int]  # an item by its place in a job
Answer = Callable[[Sequence[Decoded]], Sequence[Prediction]]
Finish = Callable[[Sequence[Job]], None]


@final
class Batcher:
    """One thread that answers, whatever waits at once.

    `answer` is the model's; `finish` keeps what jobs were answered, and may raise; `coming` says
    how many requests are being decoded, for which a batch that isn't full waits a little; `measure`
    hears of each batch's items and seconds.
    """

    def __init__(
        self,
        answer: Answer,
        finish: Finish,
        coming: Callable[[], int],
        measure: Callable[[int, float], None],
        limits: Limits,
    ) -> None:
        self._answer = answer
        self._finish = finish
        self._coming = coming
        self._measure = measure
        self._limits = limits
        self._queue: SimpleQueue[Unit | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def put(self, job: Job) -> None:
        """Answer a job's items as soon as it is their turn."""
        for place in range(len(job.items)):
            self._queue.put((job, place))

    def close(self) -> None:
        """End when all that was put is answered."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while batch := self._next():
            live = [unit for unit in batch if not unit[0].abandoned]
            if live:
                self._settle(live)

    def _next(self) -> list[Unit]:
        """What is answered together; nothing at the end."""
        first = self._queue.get()
        if first is None:
            return []
        batch, until = [first], time.monotonic() + self._limits.wait
        while len(batch) < self._limits.batch:
            unit = self._another(until)
            if unit is None:
                break
            batch.append(unit)
        return batch

    def _another(self, until: float) -> Unit | None:
        """One that waits, or comes in time; None where there is none."""
        try:
            unit = self._queue.get_nowait()
        except Empty:
            remaining = until - time.monotonic()
            if remaining <= 0 or not self._coming():
                return None
            try:
                unit = self._queue.get(timeout=remaining)
            except Empty:
                return None
        if unit is None:  # the end, which the next turn must see
            self._queue.put(None)
        return unit

    def _settle(self, batch: Sequence[Unit]) -> None:
        begun = time.monotonic()
        for (job, place), answer in zip(batch, self._answers(batch), strict=True):
            job.answers[place] = answer
        self._measure(len(batch), time.monotonic() - begun)
        jobs = [job for job in dict.fromkeys(job for job, _ in batch) if job.complete]
        try:
            self._finish(jobs)
        except Exception as error:  # such as a full disk: nothing was kept, so nothing is answered
            for job in jobs:
                job.error = error
        for job in jobs:
            job.done()

    def _answers(self, batch: Sequence[Unit]) -> Sequence[Prediction]:
        items = [job.items[place] for job, place in batch]
        try:
            return self._answer(items)
        except Exception as error:
            if len(items) > 1:  # one may have spoilt it for all
                return [self._answers([unit])[0] for unit in batch]
            traceback.print_exception(error, file=sys.stderr)
            problem = f"the model can't answer it ({named_reason(error)})"
            return [Prediction(items[0].input.name, {}, items[0].input.id, problem)]
