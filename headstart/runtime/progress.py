"""How a run tells the user what it does: sentences, warnings, and bars with rate and time left."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

Advance = Callable[[int], None]


class Progress(ABC):
    """Where a run's messages go."""

    @abstractmethod
    def say(self, text: str) -> None:
        """Tell the user something worth knowing."""

    @abstractmethod
    def warn(self, text: str) -> None:
        """Tell the user something that may spoil the result."""

    @abstractmethod
    @contextmanager
    def track(self, what: str, total: int) -> Iterator[Advance]:
        """Show how far a piece of work is: `with track('reading', 100) as advance: advance(1)`."""

    def row(self, what: str, numbers: Mapping[str, float]) -> None:
        """Take in a row of a training's history; most show nothing of it."""


class Silent(Progress):
    """Says nothing: the default from Python."""

    def say(self, text: str) -> None:
        """Drop the sentence."""

    def warn(self, text: str) -> None:
        """Drop the warning; it stands in the result as well."""

    @contextmanager
    def track(self, what: str, total: int) -> Iterator[Advance]:
        """Count nothing."""
        yield lambda count: None


class Terminal(Progress):
    """Writes to standard error with Rich, so that standard output stays free for results."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(force_jupyter=False, stderr=True, highlight=False)

    def say(self, text: str) -> None:
        """Print one plain line."""
        self._console.print(text, markup=False, soft_wrap=True)

    def warn(self, text: str) -> None:
        """Print one line marked as a warning."""
        self._console.print(f"warning: {text}", style="yellow", markup=False, soft_wrap=True)

    @contextmanager
    def track(self, what: str, total: int) -> Iterator[Advance]:
        """Draw a bar while the work lasts."""
        from rich import progress as rich

        columns = (
            rich.TextColumn("{task.description}"),
            rich.BarColumn(),
            rich.MofNCompleteColumn(),
            rich.TextColumn("{task.fields[rate]}"),
            rich.TimeRemainingColumn(),
        )
        with rich.Progress(
            *columns, console=self._console, transient=True, disable=not self._console.is_terminal
        ) as bar:
            task = bar.add_task(what, total=total, rate="")

            def advance(count: int) -> None:
                bar.update(task, advance=count)
                speed = bar.tasks[0].speed
                bar.update(task, rate=f"{speed:.1f}/s" if speed else "")

            yield advance
