"""Extraction, ranking and fitting in one worker and in two, beside joblib and Ray Data.

Each outcome is kept as soon as it is there: a benchmark that was stopped goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.arguments import RefusedError
from benchmarks.lines import Lines
from benchmarks.scale.extracting import draw, stored
from benchmarks.scale.running import Run, run

PEERS = Path(__file__).resolve().parents[1] / "peers"
WAYS = {
    "headstart, no Ray": (),
    "headstart, 1 worker": ("--on", "ray", "--workers", "1"),
    "headstart, 2 workers": ("--on", "ray", "--workers", "2"),
}
OTHERS = {  # a peer's script and how many processes
    "joblib, 2 processes": ("joblib_features.py", "2"),
    "Ray Data, 2 actors": ("ray_data_features.py", "2"),
}
ONE, TWO = "headstart, 1 worker", "headstart, 2 workers"
LEAST = {"extract": 1.7, "rank": 1.6, "fit": 1.6}  # times as fast by two workers as by one
_NAMES = (
    *("mobilenetv2_050", "mobilenetv2_100", "mobilenetv3_small_050", "mobilenetv3_small_075"),
    *("mobilenetv3_small_100", "lcnet_050", "lcnet_075", "lcnet_100"),
    *("tinynet_c", "tinynet_d", "tinynet_e", "mnasnet_small"),
)
SOURCES = tuple(f"timm:{name}?pretrained=false" for name in _NAMES)  # what rank looks at


@dataclass(frozen=True)
class Bench:
    """Where outcomes are kept, of how many pictures they are, and how long one command may take.

    Extraction is timed over both sizes, ranking and fitting over the first.
    """

    work: Path
    backbone: str
    sizes: tuple[int, int]
    side: int
    limit: float
    sources: Sequence[str] = SOURCES
    epochs: int = 4

    @property
    def lines(self) -> Lines:
        """The outcomes so far."""
        return Lines(self.work / "scale.jsonl", ("work", "way", "size", "side", "of"))

    def cells(self) -> list[dict[str, Any]]:
        """All that is to be done."""
        few, many = self.sizes
        of = {
            "extract": self.backbone,
            "rank": hashlib.sha256("\n".join(self.sources).encode()).hexdigest()[:8],
            "fit": f"{self.backbone} for {self.epochs} epochs",
        }
        cells = [("extract", way, size) for way in (*WAYS, *OTHERS) for size in (few, many)]
        cells += [(work, way, few) for work in ("rank", "fit") for way in (ONE, TWO)]
        return [
            {"work": work, "way": way, "size": size, "side": self.side, "of": of[work]}
            for work, way, size in cells
        ]

    def rows(self) -> list[dict[str, Any]]:
        """Do what is missing; all outcomes. Raises RuntimeError where a command fails."""
        for cell in self.lines.missing(self.cells()):
            self.lines.once(cell, partial(self._outcome, **cell))
        wanted = self.cells()
        return [
            row for row in self.lines.rows() if {name: row[name] for name in wanted[0]} in wanted
        ]

    def _outcome(self, work: str, way: str, size: int, side: int, of: str) -> dict[str, Any]:
        """What one command took, and a hash of what it answered."""
        data = draw(self.work / f"pictures-{size}-{side}", size, side)
        place = self.work / f"{work}-{way.replace(', ', '-').replace(' ', '-')}-{size}"
        shutil.rmtree(place, ignore_errors=True)
        answer = ""
        if way in OTHERS:
            script, processes = OTHERS[way]
            done = self._run([PEERS / script, data, self.backbone, processes], place)
        elif work == "extract":
            options = ["-b", self.backbone, "--precision", "fp32", "--engine", "openvino"]
            done = self._headstart("cache-features", [data, *options, *WAYS[way]], place)
            answer = stored(place / "cache")
        elif work == "rank":
            names = [word for source in self.sources for word in ("-b", source)]
            options = ["--precision", "fp32", "--engine", "openvino", "--json"]
            done = self._headstart("rank", [data, *names, *options, *WAYS[way]], place)
            answer = _order(done.output)
        else:
            out = place / "model"
            options = ["-s", "auto", "--seeds", "5", "--epochs", str(self.epochs)]
            options += ["-b", self.backbone, "--evidence", "none", "--judge", "holdout"]
            options += ["--precision", "fp32", "--engine", "openvino"]
            done = self._headstart("fit", [data, "-o", out, *options, *WAYS[way]], place)
            answer = hashlib.sha256((out / "model.safetensors").read_bytes()).hexdigest()
        return {"seconds": round(done.seconds, 2), "spent": round(done.spent, 2), "answer": answer}

    def _headstart(self, command: str, arguments: Sequence[str | Path], place: Path) -> Run:
        return self._run(["-m", "headstart", command, *arguments], place)

    def _run(self, arguments: Sequence[str | Path], place: Path) -> Run:
        own = {"HEADSTART_CACHE": str(place / "cache"), "OMP_NUM_THREADS": "1"}
        return run(arguments, place / "log", self.limit, own)


def _order(text: str) -> str:
    """A hash of the order of the ranking, and of what is expected of each."""
    rows = [(row["backbone"], row["expected"]) for row in json.loads(text)["ranking"]]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


@dataclass(frozen=True)
class Row:
    """One way: seconds of the clock, of the CPU in all, and a hash of what it answered.

    Of extraction it is what the pictures beyond the few take, without start-up.
    """

    work: str
    way: str
    seconds: float
    spent: float
    answer: str


def compare(bench: Bench) -> list[Row]:
    """Each way. Raises RuntimeError where one fails, RefusedError where pictures are too few."""
    rows, few = [], bench.sizes[0]
    by_cell = {(row["work"], row["way"], row["size"]): row for row in bench.rows()}
    for (work, way, size), row in by_cell.items():
        if work == "extract" and size == few:
            continue
        start = by_cell[work, way, few] if work == "extract" else {"seconds": 0.0, "spent": 0.0}
        seconds, spent = (row[name] - start[name] for name in ("seconds", "spent"))
        if seconds <= 0:
            raise RefusedError(
                f"{way} takes no longer over {size} pictures than over {few}, as its start varies "
                f"by more. Give larger --sizes than {few},{size}."
            )
        rows.append(Row(work, way, seconds, spent, row["answer"]))
    return rows


def as_markdown(rows: Sequence[Row]) -> str:
    """A table, a row a way, with how much faster than Headstart's one worker it is."""
    lines = [
        "| what | way | s | CPU s | times as fast as 1 worker | same answer |",
        "|---|---|--:|--:|--:|---|",
    ]
    for row in rows:
        one = next(each for each in rows if (each.work, each.way) == (row.work, ONE))
        same = {"": "-", one.answer: "yes"}.get(row.answer, "no")
        lines.append(
            f"| {row.work} | {row.way} | {row.seconds:.1f} | {row.spent:.1f} "
            f"| {one.seconds / row.seconds:.2f} | {same} |"
        )
    return "\n".join(lines)


def missed(rows: Sequence[Row]) -> list[str]:
    """What is below its floor: two workers too slow, slower than a peer, or other answers."""
    by_cell, sentences = {(row.work, row.way): row for row in rows}, []
    for work, least in LEAST.items():
        one, two = by_cell[work, ONE], by_cell[work, TWO]
        if one.seconds / two.seconds < least:
            sentences.append(
                f"{work}: two workers are {one.seconds / two.seconds:.2f} times as fast as one, "
                f"below {least}."
            )
        if len({row.answer for row in rows if row.work == work and row.answer}) > 1:
            sentences.append(f"{work}: answers differ.")
    two = by_cell["extract", TWO]
    slower = [way for way in OTHERS if by_cell["extract", way].seconds < two.seconds]
    return [*sentences, *(f"extract: {way} is faster." for way in slower)]
