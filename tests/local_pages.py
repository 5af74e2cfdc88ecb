"""Pages on this machine: served while a block lasts, and asked as a browser or a stranger would."""

from __future__ import annotations

import http.client
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from headstart.runtime.progress import Progress, Silent


@dataclass
class Visitor:
    """Who asks a running page."""

    port: int = 0
    token: str = ""

    @property
    def url(self) -> str:
        """The page's address."""
        return f"http://127.0.0.1:{self.port}/{self.token}/"

    def ask(
        self, place: str, body: Any = None, method: str = "", **headers: str
    ) -> tuple[int, bytes, http.client.HTTPMessage]:
        """Status, content and headers of one answer; a body that is no bytes is sent as JSON."""
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        is_raw = isinstance(body, bytes)
        kind = "application/octet-stream" if is_raw else "application/json"
        sent = {"Host": f"127.0.0.1:{self.port}", "Content-Type": kind, **headers}
        raw = body if body is None or is_raw else json.dumps(body).encode()
        line.request(method or ("GET" if raw is None else "POST"), place, raw, sent)
        reply = line.getresponse()
        content = reply.read()
        line.close()
        return reply.status, content, reply.headers

    def state(self, act: str = "state", **body: str) -> dict[str, Any]:
        """The state of the page, after an act where one is named."""
        status, content, _ = self.ask(f"/{self.token}/{act}", None if act == "state" else body)
        record: dict[str, Any] = json.loads(content)
        return record | {"status": status}

    def give(self, place: str, raw: bytes) -> dict[str, Any]:
        """What the page says to content that is sent to a place of it."""
        status, content, _ = self.ask(f"/{self.token}/{place}", raw)
        record: dict[str, Any] = json.loads(content)
        return record | {"status": status}

    def until(self, holds: Callable[[dict[str, Any]], Any], patience: float = 90) -> dict[str, Any]:
        """The state, once something holds of it."""
        end = time.monotonic() + patience
        while time.monotonic() < end:
            state = self.state()
            if holds(state):
                return state
            time.sleep(0.05)
        raise AssertionError(f"it never held of {self.state()}")


@contextmanager
def served(work: Callable[[Progress], object]) -> Iterator[Visitor]:
    """A page that `work` serves while the block lasts, and is then finished."""
    event = threading.Event()

    class Heard(Silent):
        def say(self, text: str) -> None:
            match = re.match(r"Open http://127\.0\.0\.1:(\d+)/([\w-]+)/$", text)
            if match:
                visitor.port, visitor.token = int(match[1]), match[2]
                event.set()

    visitor = Visitor()
    errors: list[BaseException] = []

    def run() -> None:
        try:
            work(Heard())
        except BaseException as error:
            errors.append(error)
            event.set()

    thread = threading.Thread(target=run)
    thread.start()
    assert event.wait(60)
    if errors:
        raise errors[0]
    try:
        yield visitor
    finally:
        with suppress(ConnectionError):  # the test has finished it
            visitor.state("finish")
        thread.join(30)
    assert not thread.is_alive() and not errors
