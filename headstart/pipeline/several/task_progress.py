"""What a run of one of several tasks tells the user, with the task's name in front."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import final

from headstart.runtime.progress import Advance, Progress


@final
class TaskProgress(Progress):
    """Another's messages, each with the name of the task that they are of."""

    def __init__(self, progress: Progress, task: str) -> None:
        self._progress = progress
        self._task = task

    def say(self, text: str) -> None:
        """Tell the user something worth knowing."""
        self._progress.say(f"{self._task}: {text}")

    def warn(self, text: str) -> None:
        """Tell the user something that may spoil the result."""
        self._progress.warn(f"{self._task}: {text}")

    @contextmanager
    def track(self, what: str, total: int) -> Iterator[Advance]:
        """Show how far a piece of work is."""
        with self._progress.track(f"{self._task}: {what}", total) as advance:
            yield advance

    def row(self, what: str, numbers: Mapping[str, float]) -> None:
        """Take in a row of a training's history."""
        self._progress.row(what, numbers)
