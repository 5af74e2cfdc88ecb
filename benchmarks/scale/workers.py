"""Extraction in one worker and in two, beside joblib and Ray Data written as their pages do it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.scale.extracting import Extraction, draw, measured

PEERS = Path(__file__).resolve().parents[1] / "peers"
WAYS = {  # Headstart's options, or a peer's script and how many processes
    "headstart, no Ray": (),
    "headstart, 1 worker": ("--on", "ray", "--workers", "1"),
    "headstart, 2 workers": ("--on", "ray", "--workers", "2"),
}
OTHERS = {
    "joblib, 2 processes": ("joblib_features.py", "2"),
    "Ray Data, 2 actors": ("ray_data_features.py", "2"),
}
LEAST = 1.7  # times as fast by two workers as by one, on two idle cores


@dataclass(frozen=True)
class Row:
    """One way: seconds of the clock without start-up, of the CPU in all, and a hash of features."""

    way: str
    seconds: float
    spent: float
    features: str


def compare(work: Path, backbone: str, sizes: tuple[int, int], side: int) -> list[Row]:
    """Each way over few and over many pictures; the difference is what the pictures take.

    Raises RuntimeError where one fails.
    """
    folders = [draw(work / f"pictures-{count}-{side}", count, side) for count in sizes]
    rows = []
    for number, (way, options) in enumerate(WAYS.items()):
        caches = [work / f"cache-{number}-{count}" for count in sizes]
        for cache in caches:
            shutil.rmtree(cache, ignore_errors=True)
        runs = [
            Extraction(folder, backbone, cache)
            for folder, cache in zip(folders, caches, strict=True)
        ]
        times = [_timed(run.start("--engine", "openvino", *options)) for run in runs]
        rows.append(Row(way, *_difference(times), runs[1].digest()))
    for way, (script, processes) in OTHERS.items():
        times = [_timed(_peer(script, folder, backbone, processes)) for folder in folders]
        rows.append(Row(way, *_difference(times), ""))
    return rows


def _peer(script: str, folder: Path, backbone: str, processes: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(PEERS / script), str(folder), backbone, processes]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _timed(process: subprocess.Popen[str]) -> tuple[float, float]:
    times = measured(process)
    _, error = process.communicate()
    if process.returncode:
        raise RuntimeError(error)
    return times


def _difference(times: list[tuple[float, float]]) -> tuple[float, float]:
    few, many = times
    return max(many[0] - few[0], 1e-9), max(many[1] - few[1], 1e-9)


def as_markdown(rows: list[Row]) -> str:
    """A table, a row a way, with how much faster than Headstart's one worker it is."""
    one = next(row for row in rows if row.way == "headstart, 1 worker")
    lines = [
        "| way | s | CPU s | times as fast as 1 worker | same features |",
        "|---|--:|--:|--:|---|",
    ]
    for row in rows:
        same = {"": "-", rows[0].features: "yes"}.get(row.features, "no")
        faster = one.seconds / row.seconds
        lines.append(f"| {row.way} | {row.seconds:.1f} | {row.spent:.1f} | {faster:.2f} | {same} |")
    return "\n".join(lines)


def missed(rows: list[Row]) -> bool:
    """Whether two workers are too slow, slower than a peer, or answer otherwise."""
    by_way = {row.way: row for row in rows}
    two = by_way["headstart, 2 workers"]
    slow = by_way["headstart, 1 worker"].seconds / two.seconds < LEAST
    slower = any(by_way[peer].seconds < two.seconds for peer in OTHERS)
    return slow or slower or len({by_way[way].features for way in WAYS}) > 1
