"""A run's progress that also goes to a tracker; what fails there never fails the run."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, final

from headstart.contracts.tracker import Tracker, numbers_of, plain, words_of
from headstart.runtime.progress import Advance, Progress


@final
class Tracked(Progress):
    """Passes all on to another progress, and to a tracker until that fails once."""

    def __init__(self, inner: Progress, name: str, begin: Callable[[], Tracker]) -> None:
        self._inner = inner
        self._name = name
        self._tracker: Tracker | None = None
        self._trainings: dict[
            str, tuple[int, float]
        ] = {}  # by label: how many, the last one's step
        self._try(lambda: self._begin(begin))

    def say(self, text: str) -> None:
        """Tell the user."""
        self._inner.say(text)

    def warn(self, text: str) -> None:
        """Warn the user."""
        self._inner.warn(text)

    @contextmanager
    def track(self, what: str, total: int) -> Iterator[Advance]:
        """Show how far a piece of work is."""
        with self._inner.track(what, total) as advance:
            yield advance

    def row(self, what: str, numbers: Mapping[str, float]) -> None:
        """Write a row of a training's history.

        Trainings of one label are told apart by number, as several backbones are trained alike. The
        row before the first step has no loss.
        """
        self._inner.row(what, numbers)
        step = numbers["steps"]
        count, last = self._trainings.get(what, (1, -1.0))
        if step < last or (step == last == 0):
            count += 1
        self._trainings[what] = count, step
        name = plain(what if count == 1 else f"{what} {count}")
        rest = {k: v for k, v in numbers.items() if k != "steps" and (step or k != "loss")}
        self._with(lambda tracker: tracker.row(name, int(step), rest))

    def result(self, tell: Callable[[], Mapping[str, Any]]) -> None:
        """Write what came of the run: evidence with the artifact's folder as `out`."""

        def write(tracker: Tracker) -> None:
            content = tell()
            tracker.result(numbers_of(content), words_of(content))

        self._with(write)

    def end(self, failed: bool) -> None:
        """Close the record."""
        self._with(lambda tracker: tracker.end(failed))
        self._tracker = None

    def _begin(self, begin: Callable[[], Tracker]) -> None:
        with warnings.catch_warnings():  # of its libraries among themselves
            warnings.simplefilter("ignore")
            tracker = begin()
        self._tracker = tracker
        self._inner.say(f"Tracked by {self._name}: {tracker.where}")

    def _with(self, write: Callable[[Tracker], None]) -> None:
        tracker = self._tracker
        if tracker is not None:
            self._try(lambda: write(tracker))

    def _try(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # the library, its server, the disk: anything
            self._tracker = None
            reason = str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
            self._inner.warn(f"{self._name} can't track this run: {reason}. It goes on without.")
