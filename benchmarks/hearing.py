"""Features of sounds a CPU-second: our frozen extraction beside librosa with the plain engine.

Both get the same files and the same network, and are timed from files to features in memory, after
a warm-up, in turn. What counts is CPU-seconds; wall clocks say little on a busy machine.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.audio import SOURCES
from benchmarks.extracting import extraction
from benchmarks.registry import SCRIPTS

# What librosa makes for a network, and the samples of its window, by the network's name.
FED: Final = {"keywords (DS-CNN)": ("mfcc", 15_840), "YAMNet": ("samples", 15_600)}
TIMES: Final = 3  # as many features a second, that ours is to reach


@dataclass(frozen=True)
class Sounds:
    """A folder of sounds by class, that of weights, one to work in; the Python that has librosa."""

    folder: Path
    weights: Path
    work: Path
    interpreter: Path

    def rows(self, rounds: int) -> Iterator[dict[str, Any]]:
        """A row a network."""
        files = sorted(self.folder.glob("*/*.*"))
        contents = [file.read_bytes() for file in files]
        self.work.mkdir(parents=True, exist_ok=True)
        for name, (front, window) in FED.items():
            places = {"audio": str(self.weights / "audio"), "weights": str(self.weights)}
            reference = SOURCES[name].format(**places)
            graph = reference.removeprefix("graph:").partition("?")[0]
            ours = extraction(reference, "audio")
            ours(contents)  # chooses the engine and converts the network for it
            seconds_of: dict[str, list[float]] = {"librosa": [], "headstart": []}
            for _ in range(rounds):
                theirs, seconds = self._peer(graph, window, front)
                seconds_of["librosa"].append(seconds)
                own, seconds = _timed(ours, contents)
                seconds_of["headstart"].append(seconds)
            medians = {who: statistics.median(several) for who, several in seconds_of.items()}
            yield {
                "network": name,
                "sounds": len(files),
                **{who: round(len(files) / value, 1) for who, value in medians.items()},
                "ratio": round(medians["librosa"] / medians["headstart"], 2),
                "cosine": round(float(_cosines(theirs, own).min()), 4),
            }

    def _peer(self, graph: str, window: int, front: str) -> tuple[np.ndarray, float]:
        """Features by librosa, and the CPU-seconds that they took."""
        out = self.work / "librosa.npy"
        command = [self.interpreter, SCRIPTS / "librosa_features.py", self.folder, graph]
        done = subprocess.run(
            [*map(str, [*command, window, front, out])], stdout=subprocess.PIPE, check=True
        )
        return np.load(out), float(json.loads(done.stdout)["cpu"])


def _timed(
    ours: Callable[[Sequence[bytes]], np.ndarray], contents: Sequence[bytes]
) -> tuple[np.ndarray, float]:
    before = _spent()
    rows = ours(contents)
    return rows, _spent() - before


def _spent() -> float:
    """CPU-seconds of this process and all that it has waited for."""
    each = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in each)


def _cosines(theirs: np.ndarray, own: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(theirs, axis=1) * np.linalg.norm(own, axis=1)
    return np.asarray((theirs * own).sum(axis=1) / np.maximum(lengths, 1e-12))


def compare(sounds: Sounds, rounds: int, out: Path) -> list[dict[str, Any]]:
    """Measure, print each row as it is there, and write them as JSON with the machine."""
    from benchmarks.machine import written

    return written(sounds.rows(rounds), as_markdown, out)


def as_markdown(rows: Sequence[dict[str, Any]]) -> str:
    """A row a network: sounds a CPU-second, how many times librosa's, the lowest cosine."""
    lines = ["| network | librosa | headstart | × | lowest cosine |", "|---|--:|--:|--:|--:|"]
    names = ("network", "librosa", "headstart", "ratio", "cosine")
    lines += [f"| {' | '.join(str(row[name]) for name in names)} |" for row in rows]
    return "\n".join(lines)
