"""The files for containers: true to the command's flags, and built where there is a daemon."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import typer
from served import Models, models

from headstart.cli import app

__all__ = ["models"]
ROOT = Path(__file__).resolve().parents[1]
DOCKER = ROOT / "docker"
TOKEN = "0123456789abcdef0123"
yaml = pytest.importorskip("yaml")


def flags() -> set[str]:
    """What `headstart serve` takes."""
    serve: Any = typer.main.get_command(app).commands["serve"]  # type: ignore[attr-defined]
    return {name for each in serve.params for name in each.opts}


def test_the_files_name_flags_that_there_are() -> None:
    text = (DOCKER / "Dockerfile").read_text()
    entry = json.loads(re.findall(r"^ENTRYPOINT (.*)$", text, re.M)[0])
    compose = yaml.safe_load((DOCKER / "compose.yaml").read_text())
    words = [*entry[2:], *compose["services"]["headstart"]["command"]]
    flag_words = {word for word in words if word.startswith("--")}
    assert entry[:2] == ["headstart", "serve"] and flag_words and flag_words <= flags()
    for place in re.findall(r"^COPY (.*) \S+$", text, re.M):
        assert all((ROOT / name).exists() for name in place.split())
    ignored = (ROOT / ".dockerignore").read_text().split()
    copied = {name for line in re.findall(r"^COPY (.*) \S+$", text, re.M) for name in line.split()}
    assert {f"!{name}" for name in copied} <= set(ignored)


def test_prometheus_asks_where_the_server_listens() -> None:
    compose = yaml.safe_load((DOCKER / "compose.yaml").read_text())
    scraped = yaml.safe_load((DOCKER / "prometheus.yaml").read_text())["scrape_configs"][0]
    host, port = scraped["static_configs"][0]["targets"][0].split(":")
    assert host in compose["services"]
    assert f"EXPOSE {port}" in (DOCKER / "Dockerfile").read_text()
    assert scraped["metrics_path"] == "/metrics"
    assert scraped["authorization"]["credentials_file"] == "/run/secrets/token"


@pytest.mark.slow
@pytest.mark.network
def test_the_image_is_built_and_answers(models: Models, tmp_path: Path) -> None:
    if shutil.which("docker") is None:
        pytest.skip("needs the program docker")
    process = subprocess.run(["docker", "info"], capture_output=True, text=True, check=False)
    if process.returncode:
        pytest.skip(f"needs a docker daemon: {process.stderr.strip()[:200]}")
    tag, name = "headstart-serve-test", f"headstart-serve-test-{os.getpid()}"
    build = ["docker", "build", "-q", "-f", str(DOCKER / "Dockerfile"), "-t", tag, str(ROOT)]
    subprocess.run(build, check=True)
    shutil.copytree(models.place("pictures"), tmp_path / "model")
    (tmp_path / "model").chmod(0o755)
    run = ["docker", "run", "-d", "--rm", "--name", name, "-p", "127.0.0.1:0:8000"]
    run += ["-e", f"HEADSTART_TOKEN={TOKEN}", "-v", f"{tmp_path / 'model'}:/models/model:ro", tag]
    subprocess.run(run, check=True, capture_output=True)
    try:
        port = subprocess.run(
            ["docker", "port", name, "8000"], check=True, capture_output=True, text=True
        ).stdout.rpartition(":")[2]
        picture = next(models.pictures.glob("*/*.png")).read_bytes()
        request = urllib.request.Request(
            f"http://127.0.0.1:{int(port)}/predict",
            picture,
            {"Authorization": f"Bearer {TOKEN}", "Content-Type": "image/png"},
        )
        assert json.loads(_patiently(request))["predictions"][0]["label"] in ("ants", "bees")
    finally:
        subprocess.run(["docker", "stop", name], check=False, capture_output=True)


def _patiently(request: urllib.request.Request) -> bytes:
    for _ in range(60):
        try:
            with urllib.request.urlopen(request, timeout=10) as reply:
                content: bytes = reply.read()
                return content
        except OSError:
            time.sleep(1)
    raise AssertionError("the container did not answer")
