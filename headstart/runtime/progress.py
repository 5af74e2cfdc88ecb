"""How a run tells the user what it does: sentences, warnings, and bars with rate and time left."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec

Advance = Callable[[int], None]


class Progress(ABC):
    """Where a run's messages go; from another process nowhere."""

    def __reduce__(self) -> tuple[type[Progress], tuple[()]]:
        """What is sent to a worker says nothing there."""
        return Silent, ()

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
    """Says nothing: the default from Python where nobody looks on."""

    def say(self, text: str) -> None:
        """Drop the sentence."""

    def warn(self, text: str) -> None:
        """Drop the warning; it stands in the result as well."""

    @contextmanager
    def track(self, what: str, total: int) -> Iterator[Advance]:
        """Count nothing."""
        yield lambda count: None


class Terminal(Progress):
    """Writes to standard error with Rich, so that standard output stays free for results.

    In a `notebook` it writes into the page, with bars where ipywidgets is installed.
    """

    def __init__(self, notebook: bool = False) -> None:
        from rich.console import Console

        self._console = Console(force_jupyter=notebook, stderr=True, highlight=False)
        self._bars = find_spec("ipywidgets") is not None if notebook else self._console.is_terminal

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
            *columns, console=self._console, transient=True, disable=not self._bars
        ) as bar:
            task = bar.add_task(what, total=total, rate="")

            def advance(count: int) -> None:
                bar.update(task, advance=count)
                speed = bar.tasks[0].speed
                bar.update(task, rate=f"{speed:.1f}/s" if speed else "")

            yield advance


Show = Progress | bool | None  # where messages go, whether they show, or where somebody looks on


def as_progress(progress: Show) -> Progress:
    """Where a call from Python sends its messages.

    None shows them in a terminal and in a notebook, and nowhere else; True shows them wherever
    standard error goes, False nowhere.
    """
    if isinstance(progress, Progress):
        return progress
    notebook = _in_notebook()
    streams = (sys.stdout, sys.stderr)  # None where there is no console
    looked_at = notebook or all(stream is not None and stream.isatty() for stream in streams)
    return Terminal(notebook) if progress or (progress is None and looked_at) else Silent()


def _in_notebook() -> bool:
    """Whether a kernel of Jupyter runs this."""
    shell = sys.modules.get("IPython")  # a kernel has imported it
    running = shell.get_ipython() if shell else None
    return type(running).__name__ == "ZMQInteractiveShell"
