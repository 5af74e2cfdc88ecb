"""Threads that work whenever they are woken, and whose mistakes are sentences."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable

from headstart.errors import HeadstartError, named_reason


class Worker(ABC):
    """Does its round in a thread of its own when woken; `changed` is called when it has news.

    `busy` says what it does, empty where it waits; `error` what went wrong in the last round.
    """

    busy = ""
    error = ""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.closed = False

    @abstractmethod
    def round(self) -> None:
        """All there is to do now. Raises HeadstartError, or OSError where a disk is full."""

    def start(self) -> None:
        """Begin to wait for work."""
        self._thread.start()

    def wake(self) -> None:
        """Something has changed."""
        self._wake.set()

    def close(self) -> None:
        """Stop at the next step."""
        self.closed = True
        self._wake.set()

    def tell(self, busy: str) -> None:
        """Say what it does."""
        self.busy = busy
        self._changed()

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            if self.closed:
                return
            self.error = ""
            try:
                self.round()
            except HeadstartError as error:
                self.error = str(error)
            except OSError as error:
                self.error = (
                    f"The features can't be kept ({error.strerror}). Free some space, and change "
                    "anything for another try."
                )
            except Exception as error:  # the page says it, and the next change is another try
                self.error = f"{named_reason(error)}. This is a defect of Headstart."
            self.tell("")
