"""A server on this machine that takes uploads as the Hugging Face Hub does, and keeps them."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from file_server import listening

COMMIT = "c0ffee" + "0" * 34


@dataclass
class Hub:
    """What arrived: repositories as they were made, files by name once they are committed."""

    token: str = "secret"
    address: str = ""
    refuses: int = 0  # the status of every answer, where it isn't 0
    repositories: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    large: dict[str, bytes] = field(default_factory=dict)  # by sha256
    commits: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@contextmanager
def hub(**facts: Any) -> Iterator[Hub]:
    """A hub on a free port of this machine."""
    served = Hub(**facts)
    with listening(_Handler, served) as served.address:
        yield served


class _Handler(BaseHTTPRequestHandler):
    served: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """What a repository is like."""
        self._answer(404, {"error": "not here"})

    def do_PUT(self) -> None:
        """A large file, by its hash."""
        content = self._body()
        name = self.path.rpartition("/")[2]
        right = hashlib.sha256(content).hexdigest() == name
        if right:
            self.served.large[name] = content
        self._answer(200 if right else 400, {})

    def do_POST(self) -> None:
        """A repository made, a list of files, a commit."""
        served, path, body = self.served, self.path.partition("?")[0], self._body()
        served.requests.append(path)
        if served.refuses:
            return self._answer(served.refuses, {"error": "you may not write here"})
        if path == "/api/validate-yaml":
            return self._answer(200, {"errors": [], "warnings": []})
        if self.headers.get("Authorization") != f"Bearer {served.token}":
            return self._answer(401, {"error": "no such token"})
        if path == "/api/repos/create":
            served.repositories.append(json.loads(body))
            return self._answer(200, {"url": f"{served.address}/me/birds", "id": "me/birds"})
        if path.endswith("/preupload/main"):
            listed = json.loads(body)["files"]
            return self._answer(200, {"files": [_mode(each) for each in listed]})
        if path.endswith("/info/lfs/objects/batch"):
            listed = json.loads(body)["objects"]
            return self._answer(200, {"transfer": "basic", "objects": [*map(self._place, listed)]})
        if path.endswith("/commit/main"):
            self._commit([json.loads(line) for line in body.splitlines() if line])
            where = f"{served.address}/me/birds/commit/{COMMIT}"
            return self._answer(200, {"commitUrl": where, "commitOid": COMMIT})
        return self._answer(404, {})

    def _place(self, entry: dict[str, Any]) -> dict[str, Any]:
        href = f"{self.served.address}/large/{entry['oid']}"
        return {**entry, "actions": {"upload": {"href": href, "header": {}}}}

    def _commit(self, lines: list[dict[str, Any]]) -> None:
        for line in lines:
            value = line["value"]
            if line["key"] == "header":
                self.served.commits.append(value["summary"])
            elif line["key"] == "file":
                self.served.files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                self.served.files[value["path"]] = self.served.large[value["oid"]]

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            return self._chunks()
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _chunks(self) -> bytes:
        whole = b""
        while size := int(self.rfile.readline(), 16):
            whole += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return whole

    def _answer(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _mode(entry: dict[str, Any]) -> dict[str, Any]:
    large = entry["path"].endswith(".safetensors")
    how = "lfs" if large else "regular"
    return {"path": entry["path"], "uploadMode": how, "shouldIgnore": False, "oid": None}
