"""Workers, or the command itself, killed at random moments: nothing is lost, all stays equal."""

from __future__ import annotations

import json
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import psutil

from benchmarks.scale.extracting import Extraction, draw, moments, workers

PATIENCE = 300.0  # seconds until workers must be there


@dataclass(frozen=True)
class Kill:
    """What died so many seconds after workers were there, and whether all came out the same."""

    victim: str
    moment: float
    hit: bool  # else the work was done before
    computed: int  # by the run that went to the end
    equal: bool


def over(work: Path, backbone: str, items: int, count: int) -> list[Kill]:
    """Kill a worker and the command in turn, so many times in all.

    Raises RuntimeError where a run fails that nobody killed, or did not mend what died.
    """
    pictures = draw(work / f"pictures-{items}", items, 96)
    whole = Extraction(pictures, backbone, work / "cache-whole")
    whole.run()
    digest, options = whole.digest(), ("--on", "ray", "--workers", "2")
    plain = replace(whole, cache=work / "cache-ray")
    span = _span(plain, options)
    kills = []
    for number, moment in enumerate(moments(count, span)):
        own = replace(whole, cache=work / f"cache-{number}")
        victim = ("worker", "command")[number % 2]
        hit, computed = _struck(own, options, victim, moment)
        kills.append(Kill(victim, moment, hit, computed, own.digest() == digest))
    return kills


def _span(extraction: Extraction, options: tuple[str, ...]) -> float:
    """Seconds from when workers are there to the end."""
    process = extraction.start(*options)
    _await_workers(process)
    started = time.monotonic()
    _, error = process.communicate()
    if process.returncode:
        raise RuntimeError(error)
    return time.monotonic() - started


def _await_workers(process: subprocess.Popen[str]) -> list[psutil.Process]:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        if alive := workers(process.pid):
            return alive
        time.sleep(0.02)
    return []


def _struck(
    extraction: Extraction, options: tuple[str, ...], victim: str, moment: float
) -> tuple[bool, int]:
    """Whether something died in time, and how many items the run computed that ended."""
    process = extraction.start(*options)
    _await_workers(process)
    time.sleep(moment)
    alive, hit = workers(process.pid), process.poll() is None
    with suppress(psutil.Error):
        if victim == "command":
            process.kill()
        elif alive:
            Random(round(moment * 1e6)).choice(alive).kill()
    out, error = process.communicate()
    if victim == "command":
        return hit, int(extraction.run(*options)["computed"])
    if process.returncode:
        raise RuntimeError(error)
    return hit and bool(alive), int(json.loads(out)["computed"])


def as_markdown(kills: list[Kill]) -> str:
    """A table, a row a kill."""
    rows = ["| killed | after, s | in time | computed by the last run | equal |"]
    rows += ["|---|--:|---|--:|---|"]
    for each in kills:
        hit, equal = ("yes" if value else "no" for value in (each.hit, each.equal))
        rows.append(f"| {each.victim} | {each.moment:.1f} | {hit} | {each.computed} | {equal} |")
    return "\n".join(rows)
