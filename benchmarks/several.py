"""Several tasks in one run beside one of them, and beside each alone: CPU seconds and scores."""

from __future__ import annotations

import csv
import json
import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TASKS = ("stars", "category", "year")
MOST = 1.2  # times what one task costs
_SETS = ("books", "electronics")


@dataclass(frozen=True)
class Run:
    """One fit: the CPU seconds of its processes, and what it answered."""

    seconds: float
    record: Mapping[str, Any]


def lay_out(texts: Path, table: Path, limit: int) -> None:
    """Write reviews of two shops with their stars, category and year, of which some lack some."""
    rows = []
    for name in _SETS:
        with (texts / f"amazon_{name}.csv").open(newline="", encoding="utf-8") as file:
            rows += [[*_row(each, name)] for each in csv.DictReader(file)]
    stride = max(1, len(rows) // limit)
    table.parent.mkdir(parents=True, exist_ok=True)
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", *TASKS])
        writer.writerows(rows[::stride][:limit])


def _row(review: Mapping[str, str], name: str) -> list[str]:
    year = re.search(r"\d{4}", review["date"])
    return [review["text"], str(int(float(review["rating"]))), name, year[0] if year else ""]


def fit(table: Path, tasks: Sequence[str], encoder: str, work: Path, cache: Path) -> Run:
    """Fit some of the tasks in a process of its own. Raises CalledProcessError where that fails."""
    out = work / "-".join(tasks)
    shutil.rmtree(out, ignore_errors=True)
    labels = [part for name in tasks for part in ("--label", name)]
    command = [sys.executable, "-m", "headstart", "fit", str(table), *labels, "--text", "text"]
    command += ["--targets", "numbers" if tasks == ("year",) else "auto"] if len(tasks) == 1 else []
    command += ["--targets", "year=numbers"] if len(tasks) > 1 else []
    command += ["-b", encoder, "-s", "feature-extraction", "--no-scratch", "-o", str(out), "--json"]
    before = _spent()
    done = subprocess.run(
        command,
        env=os.environ | {"HEADSTART_CACHE": str(cache), "HF_HUB_OFFLINE": "1"},
        stdout=subprocess.PIPE,
        check=True,
    )
    return Run(_spent() - before, json.loads(done.stdout))


def _spent() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def compare(texts: Path, encoder: str, work: Path, limit: int) -> dict[str, Any]:
    """One task, then all of them, each from an empty cache; then each alone on stored features."""
    table = work / "reviews.csv"
    lay_out(texts, table, limit)
    for name in ("one", "all"):
        shutil.rmtree(work / name, ignore_errors=True)
    one = fit(table, TASKS[:1], encoder, work, work / "one")
    every = fit(table, TASKS, encoder, work, work / "all")
    rows = []
    for name in TASKS:
        alone = one if name == TASKS[0] else fit(table, (name,), encoder, work, work / "all")
        arms = [alone.record["arms"]["chosen"], every.record["tasks"][name]["arms"]["chosen"]]
        rows.append({"task": name, "metric": alone.record["metric"], "arms": arms})
    return {
        "items": limit,
        "one": round(one.seconds, 1),
        "all": round(every.seconds, 1),
        "ratio": round(every.seconds / one.seconds, 3),
        "rows": rows,
    }


def as_markdown(comparison: Mapping[str, Any]) -> str:
    """The comparison as a table, with the cost below it."""
    lines = ["| task | metric | alone | together |", "|---|---|--:|--:|"]
    for row in comparison["rows"]:
        cells = [f"{a['value']:.3f} ({a['low']:.3f} – {a['high']:.3f})" for a in row["arms"]]
        lines.append(f"| {row['task']} | {row['metric']} | {cells[0]} | {cells[1]} |")
    lines.append(
        f"\n{len(comparison['rows'])} tasks on {comparison['items']} texts took "
        f"{comparison['all']:.1f} CPU seconds, one {comparison['one']:.1f}: "
        f"{comparison['ratio']:.2f} times."
    )
    return "\n".join(lines)


def worse(comparison: Mapping[str, Any]) -> bool:
    """Whether a task is below its own interval alone, or all cost more than they may."""
    below = any(
        arms[1]["value"] < arms[0]["low"] for arms in (r["arms"] for r in comparison["rows"])
    )
    return below or comparison["ratio"] > MOST
