"""`headstart cache-features` in a process of its own, over generated pictures."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image

from benchmarks.scale.running import below

CLASSES = ("ants", "bees")
WORKER = "ray::Worker"


def draw(folder: Path, count: int, side: int) -> Path:
    """Write noisy JPEG pictures of two classes, unless they are there."""
    rng = np.random.default_rng(0)
    for number in range(count):
        path = folder / CLASSES[number % 2] / f"{number:06}.jpg"
        pixels = rng.integers(0, 255, (side, side, 3), dtype=np.uint8)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
    return folder


@dataclass(frozen=True)
class Extraction:
    """Features of a folder of pictures, in a cache of its own."""

    pictures: Path
    backbone: str
    cache: Path

    def start(self, *options: str) -> subprocess.Popen[str]:
        """Begin; what it answers is one JSON object."""
        command = [sys.executable, "-m", "headstart", "cache-features", str(self.pictures)]
        command += ["-b", self.backbone, "--precision", "fp32", "--json", *options]
        environment = os.environ | {"HEADSTART_CACHE": str(self.cache)}
        pipe = subprocess.PIPE
        return subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True)

    def run(self, *options: str) -> dict[str, Any]:
        """Run to the end. Raises RuntimeError with what it said where it failed."""
        with self.start(*options) as process:
            out, error = process.communicate()
        if process.returncode:
            raise RuntimeError(error or out)
        answer: dict[str, Any] = json.loads(out)
        return answer

    def digest(self) -> str:
        """A hash over all stored rows."""
        return stored(self.cache)


def stored(cache: Path) -> str:
    """A hash over all stored rows."""
    total = hashlib.blake2b(digest_size=16)
    for path in sorted(cache.glob("features/*/*.bin")):
        total.update(path.read_bytes())
    return total.hexdigest()


def workers(parent: int) -> list[psutil.Process]:
    """The processes of Ray below another that hold work."""
    return [each for each in below(parent) if _title(each).startswith(WORKER)]


def _title(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


def moments(count: int, span: float, seed: int = 0) -> Iterator[float]:
    """Random seconds within a span."""
    yield from np.random.default_rng(seed).uniform(0.0, span, count).tolist()
