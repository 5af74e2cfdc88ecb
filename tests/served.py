"""A server in a process of its own, as users start it, and small models for it."""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from conftest import write_pictures

import headstart as hs

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 120.0  # seconds; machines may be busy
QUICK = hs.Settings(scratch=False, evidence="none")
JSON = {"Content-Type": "application/json"}


@dataclass
class Reply:
    """An answer of the server."""

    status: int
    content: bytes
    headers: http.client.HTTPMessage

    @property
    def json(self) -> Any:
        """What it says."""
        return json.loads(self.content)

    @property
    def labels(self) -> list[Any]:
        """The label, or the value, of each item."""
        return [each.get("label", each.get("value")) for each in self.json["predictions"]]


@dataclass
class Running:
    """A server that runs, and what it said on standard error."""

    process: subprocess.Popen[str]
    log: Path
    url: str = ""
    said: list[str] = field(default_factory=list)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.rpartition(":")[2])

    def ask(
        self,
        place: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        method: str = "",
    ) -> Reply:
        """One request on a connection of its own."""
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            line.request(method or ("GET" if body is None else "POST"), place, body, headers or {})
            answer = line.getresponse()
            return Reply(answer.status, answer.read(), answer.headers)
        finally:
            line.close()

    def send(self, content: bytes, kind: str, place: str = "/predict", **headers: str) -> Reply:
        """Content of a type."""
        return self.ask(place, content, {"Content-Type": kind, **headers})

    def tell(self, inputs: Any, place: str = "/predict") -> Reply:
        """Inputs as JSON."""
        return self.ask(place, json.dumps({"inputs": inputs}).encode(), JSON)

    def lines(self, name: str = "model") -> list[dict[str, Any]]:
        """The log of answers."""
        text = (self.log / f"{name}.jsonl").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]

    def metric(self, name: str) -> float:
        """The sum of a metric's values over its labels."""
        text = self.ask("/metrics").content.decode()
        return sum(float(v) for v in re.findall(rf"^{name}(?:\{{.*\}})? (\S+)$", text, re.M))

    def stop(self, how: int = signal.SIGTERM) -> int:
        """End it; answer with its exit code."""
        self.process.send_signal(how)
        return self.process.wait(PATIENCE)


@contextmanager
def server(log: Path, *arguments: object, **environment: str) -> Iterator[Running]:
    """`headstart serve` on a free port while the block lasts."""
    command = [sys.executable, "-m", "headstart", "serve", *map(str, arguments)]
    command += ["--port", "0", "--log", str(log)]
    own = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=own, cwd=ROOT)
    running, ready = Running(process, log), threading.Event()

    def listen() -> None:
        for line in process.stderr or ():
            running.said.append(line.rstrip("\n"))
            match = re.search(r"^Serving .* at (http://\S+);", line)
            if match:
                running.url = match[1]
                ready.set()
        ready.set()

    listener = threading.Thread(target=listen)
    listener.start()
    try:
        assert ready.wait(PATIENCE) and running.url, running.said
        yield running
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(PATIENCE)
        listener.join(PATIENCE)
        if process.stderr:
            process.stderr.close()


def base64_of(path: Path) -> str:
    """A file as JSON holds it."""
    return base64.b64encode(path.read_bytes()).decode()


def form(files: Mapping[str, bytes], field_name: str = "file") -> tuple[bytes, str]:
    """Files as a form, and its type."""
    edge = "edge-of-a-part"
    parts = [
        f'--{edge}\r\nContent-Disposition: form-data; name="{field_name}"; filename="{name}"\r\n'
        f"\r\n".encode()
        + content
        + b"\r\n"
        for name, content in files.items()
    ]
    return b"".join([*parts, f"--{edge}--\r\n".encode()]), f"multipart/form-data; boundary={edge}"


@dataclass(frozen=True)
class Models:
    """A model of pictures, one of texts, one of rows, and what they were made from."""

    folder: Path
    pictures: Path

    def place(self, name: str) -> Path:
        """A model's folder."""
        return self.folder / name


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    """Small models, made once for all files of tests that import this."""
    return _models(tmp_path_factory.getbasetemp() / "served")


@cache
def _models(root: Path) -> Models:
    data = write_pictures(root / "data", {"ants": 40, "bees": 40})
    words = {"bad": "poor dull broken", "good": "fine lovely great"}
    texts = ["review,verdict", *(f"{words[k]} {n},{k}" for n in range(40) for k in words)]
    (root / "texts.csv").write_text("\n".join(texts))
    rows = [f"{n % 9 * 10},{'AB'[n % 2]},{n % 9 * 20 + n % 2 * 50 + n % 5}" for n in range(60)]
    (root / "rows.csv").write_text("\n".join(["area,town,price", *rows]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADSTART_CACHE", str(root / "cache"))
        strategy = "feature-extraction"
        hs.fit(data, "seeded:convnet", root / "pictures", strategy=strategy, settings=QUICK)
        encoder = "seeded:text-encoder?seed=1"
        hs.fit(root / "texts.csv", encoder, root / "texts", strategy=strategy, settings=QUICK)
        hs.fit(root / "rows.csv", out=root / "rows", label="price", settings=QUICK)
    return Models(root, data)
