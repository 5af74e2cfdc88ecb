"""One cell: a contender on a task, in so many minutes, from one seed; ended when time is over."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TextIO

from benchmarks import environments, machine
from benchmarks.accuracy.tasks import CONTENDERS, TASKS, Contender, words
from benchmarks.choosing.targets import lay_out
from benchmarks.lines import Lines
from benchmarks.registry import OURS, ROOT

KEY: Final = ("task", "minutes", "seed", "who")
GRACE: Final = 1.05  # times the minutes, when a process is ended


@dataclass(frozen=True)
class Plan:
    """What is compared, where the research data lie, and where outcomes are kept."""

    tasks: Sequence[str]
    minutes: Sequence[float]
    seeds: int
    who: Sequence[str]
    data: Path
    work: Path

    def cells(self) -> list[dict[str, Any]]:
        """Every cell, by its columns; one seed of all comes before the next."""
        return [
            dict(zip(KEY, (task, minutes, seed, who), strict=True))
            for seed in range(self.seeds)
            for minutes in self.minutes
            for task in self.tasks
            for who in self.who
            if TASKS[task].modality in CONTENDERS[who].modalities
        ]


def run(plan: Plan) -> list[dict[str, Any]]:
    """Do the cells that are not done, and answer with the rows of all that are wanted.

    A contender whose environment can't be made is named and left out.
    """
    plan.work.mkdir(parents=True, exist_ok=True)
    results = Lines(plan.work / "accuracy.jsonl", KEY)
    cells = plan.cells()
    missing = results.missing(cells)
    broken = _unmade({CONTENDERS[cell["who"]].environment for cell in missing} - {""})
    for cell in missing:
        if CONTENDERS[cell["who"]].environment in broken:
            continue
        results.once(cell, lambda cell=cell: _measure(plan, cell))  # type: ignore[misc]
        print(results.rows()[-1], flush=True)
    keys = [tuple(cell.values()) for cell in cells]
    return [row for row in results.rows() if tuple(row[name] for name in KEY) in keys]


def _unmade(needed: set[str]) -> set[str]:
    broken = set()
    for name in sorted(needed):
        try:
            environments.make(name)
        except environments.BrokenEnvironmentError as error:
            print(error, file=sys.stderr)
            broken.add(name)
    return broken


def _measure(plan: Plan, cell: dict[str, Any]) -> dict[str, Any]:
    """The accuracy on the test items, or what went wrong; the load a core says who else computed.

    Nothing is stored from earlier cells: ours begins with an empty cache.
    """
    target, who = TASKS[cell["task"]], CONTENDERS[cell["who"]]
    data = lay_out(target, plan.data, plan.work)
    place = plan.work / "one"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    limit, load, began = 60 * cell["minutes"], machine.load(), time.time()
    command = _command(plan, cell, who, data, place)
    environment = os.environ | {"HEADSTART_CACHE": str(place / "cache"), "HF_HUB_OFFLINE": "1"}
    with (plan.work / "last.log").open("w+") as log:
        code = _ended(command, GRACE * limit, log, environment)
        seconds = round(time.time() - began, 1)
        log.seek(0)
        last = "".join(log.read().strip().splitlines()[-1:])
    if code is None:
        return {"error": "no end within the minutes", "load": load}
    if code:
        return {"error": f"{last} (code {code})", "seconds": seconds, "load": load}
    truth = true_labels(data, target.modality == "text")
    answers = _answers(place, data) if who.name == OURS else json.loads((place / "out").read_text())
    right = [one == other for one, other in zip(answers["predicted"], truth, strict=True)]
    accuracy = sum(right) / len(right)
    return {"accuracy": accuracy, "items": len(right), "seconds": seconds, "load": load}


def _ended(
    command: Sequence[str], limit: float, log: TextIO, environment: Mapping[str, str]
) -> int | None:
    """The exit code of a process; None where it, and all it started, was killed at the limit."""
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        return process.wait(limit)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return None


def _command(
    plan: Plan, cell: dict[str, Any], who: Contender, data: Path, place: Path
) -> list[str]:
    seconds = 60 * cell["minutes"]
    reference, sentence = words(TASKS[cell["task"]], plan.data)
    if who.name == OURS:
        fit = [sys.executable, "-m", "headstart", "fit", str(data), "-b", reference]
        fit += ["-o", str(place / "model"), "--seed", str(cell["seed"]), "--offline"]
        return [*fit, "--budget", f"{seconds:g}s"]
    command = [str(environments.python(who.environment)), str(who.path), "--data", str(data)]
    command += [*sentence, "--seed", str(cell["seed"]), "--out", str(place / "out")]
    return [*command, "--until", str(time.time() + seconds)]


def _answers(place: Path, data: Path) -> dict[str, Any]:
    """What our saved model says of the test items, in the order of paths or lines."""
    import headstart as hs

    model = hs.load(place / "model")
    table = data / "test.csv"
    items = table if table.exists() else sorted((data / "test").glob("*/*"))
    return {"predicted": [answer.label for answer in model.predict(items)]}


def true_labels(data: Path, text: bool) -> list[str]:
    """The labels of the test items in the order in which all contenders answer."""
    if not text:
        return [path.parent.name for path in sorted((data / "test").glob("*/*"))]
    with (data / "test.csv").open(encoding="utf-8", newline="") as file:
        return [row["label"] for row in csv.DictReader(file)]
