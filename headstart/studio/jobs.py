"""Commands of Headstart that the page runs: what the shell would run, word for word."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, final

_LINES: Final = 200  # sentences that are kept
_PATIENCE: Final = 10.0  # seconds that a command has to end when the page does


@final
class Job:
    """One command in a process of its own, with what it says and in the end answers.

    `budget` are the seconds that it was given; `changed` is called when it says something.
    """

    def __init__(
        self, name: str, words: Sequence[str], changed: Callable[[], None], budget: float | None
    ) -> None:
        self.name = name
        self.words = tuple(words)
        self.lines: deque[str] = deque(maxlen=_LINES)
        self.answer: Mapping[str, Any] = {}
        self.budget = budget
        self.began = time.monotonic()
        self.seconds: float | None = None  # when it is over
        self._changed = changed
        self._process = subprocess.Popen(
            [sys.executable, "-m", "headstart", *words, "--json"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,  # Ctrl-C in the shell is for the page, which then ends this
        )
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def start(self) -> Job:
        """Listen to it."""
        self._thread.start()
        return self

    @property
    def running(self) -> bool:
        """Whether it goes on."""
        return self.seconds is None

    def stop(self) -> None:
        """End it politely, which it answers as Ctrl-C: what is made so far is kept."""
        if self._process.poll() is None:
            self._process.terminate()

    def close(self) -> None:
        """Interrupt it, and kill it where it does not end."""
        self.stop()
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._thread.join(_PATIENCE)

    def to_json(self) -> dict[str, Any]:
        """What the page shows of it."""
        seconds = time.monotonic() - self.began if self.seconds is None else self.seconds
        return {
            "name": self.name,
            "command": shlex.join(["headstart", *self.words]),
            "said": list(self.lines),
            "running": self.running,
            "seconds": round(seconds, 1),
            "budget": self.budget,
            "error": str(self.answer.get("error", "")),
        }

    def _follow(self) -> None:
        with self._process as process:  # its pipes are closed behind it
            out = threading.Thread(target=self._listen, daemon=True)
            out.start()
            text = process.stdout.read() if process.stdout else ""
            out.join()
            code = process.wait()
        try:
            answer = json.loads(text)
            self.answer = answer if isinstance(answer, dict) else {}
        except ValueError:
            last = self.lines[-1] if self.lines else f"it ended with {code}"
            self.answer = {} if not code else {"error": f"{self.name} failed: {last}"}
        self.seconds = time.monotonic() - self.began
        self._changed()

    def _listen(self) -> None:
        for line in self._process.stderr or ():
            if line.strip():
                self.lines.append(line.rstrip()[:500])
                self._changed()
