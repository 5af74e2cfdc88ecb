"""A server on this machine that speaks the Hub's protocol, and can fail in the Hub's ways."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from file_server import listening
from huggingface_hub import constants

COMMIT = "c0ffee" + "0" * 34
LARGE = (".safetensors", ".bin")  # kept by their sha256


@dataclass
class Served:
    """A model's files by name, what goes wrong with them, and what was asked for."""

    name: str
    files: dict[str, bytes]
    status: int = 200  # of every answer
    error: str = ""  # the Hub's code for it
    breaks: dict[str, int] = field(default_factory=dict)  # after so many bytes, once a file
    spoilt: set[str] = field(default_factory=set)  # arrive with another byte in the middle
    short: set[str] = field(default_factory=set)  # arrive without their last byte
    asked: list[tuple[str, str, str]] = field(default_factory=list)  # method, path, range
    endpoint: str = ""

    def got(self, name: str) -> list[str]:
        """The ranges in which a file was fetched, empty for all of it."""
        return [r for method, path, r in self.asked if method == "GET" and path.endswith(name)]


def files_of(folder: Path) -> dict[str, bytes]:
    """All files in a folder, by their path in it."""
    result = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in result}


@contextmanager
def serving(served: Served) -> Iterator[Served]:
    """Serve a model on a free port of this machine."""
    with listening(_Handler, served) as served.endpoint:
        yield served


def own_cache(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The Hub's cache in a folder of this test's own, and no way out through a proxy."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    for variable in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.upper(), raising=False)
    return folder


@contextmanager
def as_the_hub(served: Served, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """Serve a model where the Hub's own library looks for it."""
    with serving(served):
        monkeypatch.setattr(constants, "ENDPOINT", served.endpoint)
        where = served.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", where)
        yield served


class _Handler(BaseHTTPRequestHandler):
    served: Served
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        """What a file is like."""
        self._answer(with_body=False)

    def do_GET(self) -> None:
        """The model's description, its list of files, or a file."""
        self._answer(with_body=True)

    def _answer(self, with_body: bool) -> None:
        path = self.path.partition("?")[0]
        served, value = self.served, self.headers.get("Range", "")
        served.asked.append((self.command, path, value))
        if served.status != 200:
            self._send(served.status, b"{}", {"X-Error-Code": served.error}, with_body)
        elif path.startswith(f"/api/models/{served.name}/tree/{COMMIT}"):
            self._send(200, json.dumps([_entry(*f) for f in served.files.items()]).encode())
        elif path.startswith(f"/api/models/{served.name}"):
            siblings = [{"rfilename": name} for name in served.files]
            about = {"id": served.name, "sha": COMMIT, "private": False, "siblings": siblings}
            self._send(200, json.dumps(about).encode())
        elif match := re.fullmatch(rf"/{served.name}/resolve/(?:main|{COMMIT})/(.+)", path):
            self._file(match[1], value, with_body)
        else:
            self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"}, with_body)

    def _file(self, name: str, request: str, with_body: bool) -> None:
        content = self.served.files.get(name)
        headers = {"X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        if content is None:
            headers["X-Error-Code"] = "EntryNotFound"
            return self._send(404, b"", headers, with_body)
        headers["ETag"] = f'"{_identity(name, content)}"'
        if with_body and name in self.served.spoilt:
            middle = len(content) // 2
            content = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        if with_body and name in self.served.short:
            content = content[:-1]
        start = int(request.removeprefix("bytes=").rstrip("-")) if request else 0
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        stop = self.served.breaks.pop(name, None) if with_body else None
        self._send(206 if start else 200, content[start:], headers, with_body, stop)

    def _send(
        self,
        status: int,
        body: bytes,
        headers: dict[str, str] | None = None,
        with_body: bool = True,
        stop: int | None = None,
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body:
            self.wfile.write(body if stop is None else body[:stop])
        if stop is not None:
            self.close_connection = True


def _identity(name: str, content: bytes) -> str:
    """The hash by which the Hub knows a file: sha256 of a large one, git's of a small one."""
    if name.endswith(LARGE):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _entry(name: str, content: bytes) -> dict[str, Any]:
    """A line of the list of files."""
    entry: dict[str, Any] = {"type": "file", "path": name, "size": len(content), "oid": "0" * 40}
    if name.endswith(LARGE):
        large = {"oid": _identity(name, content), "size": len(content), "pointerSize": 134}
        entry["lfs"] = large
    return entry
