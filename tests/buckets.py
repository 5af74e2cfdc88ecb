"""A server of S3 on this machine, behind a proxy that can fail as networks and stores do."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from file_server import listening

BUCKET = "bucket"
_DENIED = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
_HOP = ("transfer-encoding", "connection", "content-length")


@dataclass
class Bucket:
    """A bucket, what goes wrong with requests for its objects, and what was asked for."""

    files: Any  # of pyarrow, without the proxy
    behind: tuple[str, int] = ("", 0)
    address: str = ""
    statuses: list[int] = field(default_factory=list)  # of the next answers to GET
    cuts: int = 0  # so many of the next answers with content break half-way
    pause: float = 0.0  # seconds before an answer
    denies: bool = False  # whatever is asked without a key
    requests: list[tuple[str, str]] = field(default_factory=list)  # method, path with query

    def __post_init__(self) -> None:
        self.files.create_dir(BUCKET)

    def put(self, key: str, content: bytes) -> None:
        """Write an object."""
        connection = http.client.HTTPConnection(*self.behind)
        own = {"Authorization": "AWS key:secret"}  # moto looks for no more
        connection.request("PUT", f"/{BUCKET}/{quote(key)}", content, own)
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        connection.close()

    def copy(self, folder: Path, key: str) -> str:
        """Write all files of a folder, or one file, and answer with the address."""
        for path in folder.rglob("*") if folder.is_dir() else [folder]:
            if path.is_file():
                inner = path.relative_to(folder).as_posix() if folder.is_dir() else ""
                self.put(f"{key}/{inner}".rstrip("/"), path.read_bytes())
        return f"s3://{BUCKET}/{key}"

    def empty(self) -> None:
        """Remove all objects and faults, and forget what was asked for."""
        self.files.delete_dir_contents(BUCKET)
        self.statuses, self.cuts, self.pause, self.denies = [], 0, 0.0, False
        self.requests.clear()

    def gets(self, key: str) -> int:
        """How often the content of an object was asked for."""
        return sum(m == "GET" and p == f"/{BUCKET}/{key}" for m, p in self.requests)


@contextmanager
def serving() -> Iterator[Bucket]:
    """One bucket on a free port of this machine; the test is left out where moto is not here."""
    pytest.importorskip("moto", reason="needs a server of S3: pip install 'moto[s3]' flask")
    pytest.importorskip("flask_cors", reason="needs a server of S3: pip install flask-cors")
    import logging

    from moto.server import ThreadedMotoServer
    from pyarrow.fs import S3FileSystem

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        files = S3FileSystem(
            access_key="key",
            secret_key="secret",
            region="us-east-1",
            endpoint_override=f"http://{host}:{port}",
            allow_bucket_creation=True,
        )
        bucket = Bucket(files, (host, port))
        with listening(_Proxy, bucket) as bucket.address:
            yield bucket
    finally:
        server.stop()


class _Proxy(BaseHTTPRequestHandler):
    served: Bucket
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or each answer waits for an acknowledgement of its head

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        """The state of an object."""
        self._forward()

    def do_GET(self) -> None:
        """An object, or a list of them."""
        self._forward()

    def _forward(self) -> None:
        served, is_get = self.served, self.command == "GET"
        served.requests.append((self.command, self.path))
        time.sleep(served.pause)
        if served.denies and "Authorization" not in self.headers:
            return self._send(403, {}, _DENIED)
        if served.statuses and is_get:
            return self._send(served.statuses.pop(0), {}, b"")
        connection = http.client.HTTPConnection(*served.behind)
        connection.request(self.command, self.path, headers=dict(self.headers))
        answer = connection.getresponse()
        headers = {n: v for n, v in answer.getheaders() if n.lower() not in _HOP}
        length, body = answer.getheader("Content-Length"), answer.read()
        connection.close()
        self._send(answer.status, headers, body, length)

    def _send(
        self, status: int, headers: dict[str, str], body: bytes, length: str | None = None
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", length or str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.served.cuts and status == 206:
            self.served.cuts -= 1
            self.close_connection = True
            body = body[: len(body) // 2]
        self.wfile.write(body)
