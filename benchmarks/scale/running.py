"""A command in a process of its own: its seconds, its CPU seconds, and never for longer than so."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.registry import ROOT

EVERY = 0.1  # seconds between two looks
LAST = 2000  # characters of what it said that an error shows


@dataclass(frozen=True)
class Run:
    """What a command took, and what it wrote to standard output."""

    seconds: float
    spent: float
    output: str


def run(
    arguments: Sequence[str | Path], log: Path, limit: float, environment: Mapping[str, str]
) -> Run:
    """Run Python with these arguments; what it says goes to files, which no reader can block.

    Raises RuntimeError where it fails, or takes longer than the limit, in seconds: it is then ended
    with all processes that it began.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    output = log.with_suffix(".out")
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    whole = os.environ | {"PYTHONPATH": path} | dict(environment)
    command, started = [sys.executable, *map(str, arguments)], time.monotonic()
    with (
        log.open("wb") as errors,
        output.open("wb") as answers,
        subprocess.Popen(
            command, env=whole, stdout=answers, stderr=errors, start_new_session=True
        ) as process,
    ):
        seconds_of = dict[int, float]()
        while process.poll() is None:
            _note(process.pid, seconds_of)
            if time.monotonic() - started > limit:
                _end(process)
                raise RuntimeError(f"{_named(command)} took longer than {limit:.0f} s; see {log}")
            time.sleep(EVERY)
        seconds = time.monotonic() - started
    if process.returncode:
        said = log.read_text(encoding="utf-8", errors="replace")[-LAST:]
        raise RuntimeError(f"{_named(command)} failed: {said}")
    return Run(seconds, sum(seconds_of.values()), output.read_text(encoding="utf-8"))


def below(parent: int) -> Sequence[psutil.Process]:
    """All processes that another began, and they in turn."""
    with suppress(psutil.Error):
        processes: list[psutil.Process] = psutil.Process(parent).children(recursive=True)
        return processes
    return []


def _note(parent: int, seconds_of: dict[int, float]) -> None:
    """CPU seconds of a process and all below it, also of those that were seen and have ended."""
    with suppress(psutil.Error):
        for each in [psutil.Process(parent), *below(parent)]:
            with suppress(psutil.Error):
                spent = each.cpu_times()
                seconds_of[each.pid] = spent.user + spent.system


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and all below it, of which Ray's have groups of their own."""
    family = below(process.pid)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    for each in family:
        with suppress(psutil.Error):
            each.kill()


def _named(command: Sequence[str]) -> str:
    return " ".join(command[1:])
