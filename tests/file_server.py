"""A server on this machine that serves a folder, whole or from a byte on, and can fail at it."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

_PIECE = 1 << 20  # bytes that are sent at once where there are pauses


@dataclass
class Served:
    """A folder, what goes wrong with its files by their paths, and what was asked for."""

    folder: Path
    address: str = ""
    breaks: dict[str, list[int]] = field(default_factory=dict)  # bytes of the next answers
    moved: dict[str, str] = field(default_factory=dict)  # answered with another address
    ranges: bool = True
    tags: bool = True
    absent: int = 404  # the status of what is not there
    asked: list[tuple[str, str]] = field(default_factory=list)  # path with query, range
    pause: float = 0.0  # seconds between pieces of a body

    def __str__(self) -> str:
        return self.address


@contextmanager
def serving(folder: Path) -> Iterator[Served]:
    """Serve a folder on a free port of this machine."""
    served = Served(folder)
    with listening(_Handler, served) as served.address:
        yield served


@contextmanager
def listening(handler: type[BaseHTTPRequestHandler], served: object) -> Iterator[str]:
    """The address at which requests are handled, by a handler whose `served` this is."""
    own = type("Handler", (handler,), {"served": served})
    server = ThreadingHTTPServer(("127.0.0.1", 0), own)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def connected(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this machine's own servers be reached, without proxies."""
    for variable in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.upper(), raising=False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)


class _Handler(BaseHTTPRequestHandler):
    served: Served
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """A file, or the rest of it."""
        served, path = self.served, self.path.partition("?")[0].lstrip("/")
        value = self.headers.get("Range", "")
        served.asked.append((self.path.lstrip("/"), value))
        file = served.folder / path
        if path in served.moved:
            return self._send(302, b"", {"Location": served.moved[path]})
        if not file.is_file():
            return self._send(served.absent, b"")
        content = file.read_bytes()
        tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
        headers = {"ETag": tag} if served.tags else {}
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", value) if served.ranges else None
        if match is None or self.headers.get("If-Range", tag) != tag:
            return self._send(200, content, headers)
        start = int(match[1])
        if start >= len(content):
            return self._send(416, b"", headers)
        end = min(int(match[2] or len(content)), len(content) - 1)
        headers["Content-Range"] = f"bytes {start}-{end}/{len(content)}"
        return self._send(206, content[start : end + 1], headers)

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        stops = self.served.breaks.get(self.path.partition("?")[0].lstrip("/"))
        if stops and status < 300:
            body = body[: stops.pop(0)]
            self.close_connection = True
        pieces = range(0, len(body), _PIECE) if self.served.pause else ()
        for start in pieces:
            time.sleep(self.served.pause)
            self.wfile.write(body[start : start + _PIECE])
        if not pieces:
            self.wfile.write(body)
