"""One process from start to end: its time, and the peak memory of it and its children."""

from __future__ import annotations

import compileall
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from benchmarks.registry import ROOT

EVERY: Final = 0.2  # seconds between two looks at the memory


@dataclass(frozen=True)
class Measured:
    """What a process took; memory in MiB."""

    seconds: float
    peak: float
    code: int


def measure(
    command: Sequence[str | Path], log: Path, cwd: Path, environment: Mapping[str, str]
) -> Measured:
    """Run a command with its words going to `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            [str(part) for part in command],
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env=dict(environment),
        )
        watch = _Watch(process.pid)
        watch.start()
        try:
            code = process.wait()
        finally:
            seconds = time.perf_counter() - started
            if process.poll() is None:
                process.kill()
            watch.end()
    return Measured(round(seconds, 2), round(watch.peak / 2**20, 1), code)


def spent(
    arguments: Sequence[str | Path],
    log: Path,
    interpreter: str | Path = sys.executable,
    **environment: str | Path,
) -> dict[str, float]:
    """CPU-seconds, seconds and MiB of Python with these arguments, children and imports included.

    Another `interpreter` has another environment, and the same package. That is compiled as an
    installer compiles it, and no connection is opened. Raises RuntimeError where it fails.
    """
    compileall.compile_dir(ROOT / "headstart", quiet=1)
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    own = {"PYTHONPATH": path, "HF_HUB_OFFLINE": "1"}
    whole = os.environ | own | {name: str(value) for name, value in environment.items()}
    before = cpu_of_children()
    run = measure([interpreter, *arguments], log, ROOT, whole)
    if run.code:
        raise RuntimeError(f"{' '.join(map(str, arguments))} failed; see {log}")
    return {"cpu": round(cpu_of_children() - before, 2), "wall": run.seconds, "MiB": run.peak}


def cpu_of_children() -> float:
    """CPU-seconds of all processes that this one has waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class _Watch(threading.Thread):
    """Looks at a process tree's memory until it is told to end.

    The proportional set size where the system knows it, so that pages which workers share with
    their parent count once; the resident set size elsewhere.
    """

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.peak = 0
        self._pid = pid
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.is_set():
            self.peak = max(self.peak, held(self._pid))
            self._over.wait(EVERY)

    def end(self) -> None:
        self._over.set()
        self.join()


def held(pid: int) -> int:
    """The bytes that a process and its descendants hold now; 0 once it is gone."""
    try:
        process = psutil.Process(pid)
        tree = [process, *process.children(recursive=True)]
    except psutil.Error:
        return 0
    return sum(_bytes(each) for each in tree)


def _bytes(process: psutil.Process) -> int:
    try:
        usage = process.memory_full_info()
        return int(getattr(usage, "pss", 0) or usage.rss)
    except psutil.Error:
        return 0
