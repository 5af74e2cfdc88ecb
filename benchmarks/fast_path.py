"""The run: photos, environments, every contender at every work, and the report as it grows."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from benchmarks import environments, machine, photos
from benchmarks.measuring import Measured, measure
from benchmarks.registry import OURS, OURS_ALONE, PEERS, ROOT, WORKS, Peer, Work
from benchmarks.report import as_markdown

WORKPLACE: Final = ROOT / "benchmarks" / ".work"


@dataclass
class Run:
    """Everything that one run shares, and what it has found so far."""

    data: Path
    weights: Path
    backbone: str
    out: Path
    results: dict[str, Any]
    more: Path | None = None
    cache: Path = field(default_factory=lambda: WORKPLACE / "cache")

    def row(self, **numbers: Any) -> None:
        """Add a row, and write the report as it now stands."""
        self.results["rows"].append(numbers)
        summary = (
            numbers.get("error") or f"{numbers['seconds']} s, accuracy {numbers.get('accuracy')}"
        )
        print(f"{numbers['work']}, {numbers['who']}: {summary}", flush=True)
        self.write()

    def write(self) -> None:
        """Write the results as JSON, and as a Markdown table beside it."""
        self.out.parent.mkdir(parents=True, exist_ok=True)
        self.out.write_text(json.dumps(self.results, indent=1) + "\n", encoding="utf-8")
        self.out.with_suffix(".md").write_text(as_markdown(self.results), encoding="utf-8")


def start(plan: photos.Plan, backbone: str, weights: Path, out: Path) -> Run:
    """Lay out the photos and begin a report."""
    data = photos.prepare(plan, WORKPLACE)
    origin = f"{plan.made} made of {plan.size[0]}x{plan.size[1]} px" if plan.made else "as they are"
    results = {
        "backbone": backbone,
        "data": {"photos": photos.counts(data), "from": origin},
        "machine": machine.facts(),
        "peer_versions": {},
        "rows": [],
        "ours_alone": {},
    }
    return Run(data, weights, backbone, out, results)


def compare(run: Run, works: Sequence[str], peers: Sequence[str]) -> bool:
    """Run every work with us and the peers that can do it; answers whether all went well."""
    needed = [PEERS[name] for name in peers if set(PEERS[name].works) & set(works)]
    for name in sorted({peer.environment for peer in needed}):
        interpreter = environments.make(name)
        _warm_up(interpreter)
    for name in works:
        if name in OURS_ALONE:
            _alone(run, name)
            continue
        work = WORKS[name]
        _ours(run, work)
        for peer in (PEERS[each] for each in peers):
            if work.name in peer.works:
                _peer(run, peer, work)
            elif work.like in peer.works:
                _repeated(run, peer, work)
    return not any(row.get("error") for row in run.results["rows"])


def _ours(run: Run, work: Work) -> None:
    data = run.data
    if work.name == "new":
        data = run.more or photos.grow(run.data)
        run.more = data
    like = "frozen" if work.like else work.name
    command = [sys.executable, "-m", "benchmarks.ours", "--work", like, *_words(run, data)]
    _timed(run, OURS, work, [*command, "--epochs", str(work.epochs)])


def _peer(run: Run, peer: Peer, work: Work) -> None:
    command = [environments.python(peer.environment), peer.path, "--work", work.name]
    words = [*_words(run, run.data), "--epochs", str(work.epochs), *peer.options]
    _timed(run, peer.name, work, [*command, *words])


def _words(run: Run, data: Path) -> list[str]:
    options = {"data": data, "weights": run.weights, "backbone": run.backbone, "out": _record()}
    return [word for name, value in options.items() for word in (f"--{name}", str(value))]


def _record() -> Path:
    return WORKPLACE / "one" / "result.json"


def _timed(run: Run, who: str, work: Work, command: Sequence[str | Path]) -> None:
    """One fresh process in a fresh folder; ours starts with an empty cache unless it is warm."""
    shutil.rmtree(_record().parent, ignore_errors=True)
    _record().parent.mkdir(parents=True)
    if who == OURS and not work.like:
        shutil.rmtree(run.cache, ignore_errors=True)
    environment = os.environ | {"HEADSTART_CACHE": str(run.cache), "HF_HUB_OFFLINE": "1"}
    log = run.out.with_suffix("") / f"{work.name}-{who}.log"
    load = machine.load()
    measured = measure(command, log, ROOT, environment)
    run.row(work=work.name, who=who, load=load, **_outcome(run, measured, log))


def _outcome(run: Run, usage: Measured, log: Path) -> dict[str, Any]:
    measured = {"seconds": usage.seconds, "peak_mib": usage.peak}
    if usage.code or not _record().exists():
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        last = lines[-1] if lines else "it said nothing"
        return measured | {"error": f"{last} (code {usage.code}; see {log})"}
    record: Mapping[str, Any] = json.loads(_record().read_text(encoding="utf-8"))
    run.results["peer_versions"] |= record["versions"]
    return {
        name: value for name, value in record.items() if name not in ("work", "peer")
    } | measured


def _repeated(run: Run, peer: Peer, work: Work) -> None:
    """A peer that stores nothing: the same run once more takes what the first took."""
    for row in run.results["rows"]:
        if (row["who"], row["work"]) == (peer.name, work.like) and not row.get("error"):
            return run.row(**(row | {"work": work.name, "repeated_from": work.like}))


def _alone(run: Run, name: str) -> None:
    command = [sys.executable, "-m", "benchmarks.limits", name, *_words(run, run.data)]
    shutil.rmtree(_record().parent, ignore_errors=True)
    _record().parent.mkdir(parents=True)
    environment = os.environ | {"HEADSTART_CACHE": str(WORKPLACE / "limits-cache")}
    log = run.out.with_suffix("") / f"{name}.log"
    measured = measure(command, log, ROOT, environment)
    if measured.code or not _record().exists():
        return run.row(work=name, who=OURS, **_outcome(run, measured, log))
    run.results["ours_alone"][name] = json.loads(_record().read_text(encoding="utf-8"))
    print(f"{name}: {run.results['ours_alone'][name]}", flush=True)
    run.write()


def _warm_up(interpreter: Path) -> None:
    """Import what will be imported, so that the first peer does not pay for a cold disk."""
    names = "torch, torchvision, timm, sklearn.linear_model, fastai.vision.all, transformers"
    for command in (
        [interpreter, "-c", f"import {names}, datasets"],
        [interpreter, "-c", "import os; os.environ['KERAS_BACKEND'] = 'torch'; import keras"],
        [sys.executable, "-c", "import headstart.pipeline"],
    ):
        subprocess.run([str(word) for word in command], capture_output=True, check=False, cwd=ROOT)


def memory(run: Run, plan: photos.Plan, numbers: Sequence[int]) -> None:
    """Our peak memory over so many generated photos, which must not grow with their number."""
    for number in numbers:
        photographs = photos.Plan(plan.source, made=number, size=(160, 120))
        data = photos.prepare(photographs, WORKPLACE)
        command = [sys.executable, "-m", "benchmarks.ours", "--work", "extraction"]
        command += _words(run, data)
        work = Work(f"memory at {number:,}", WORKS["memory"].about)
        _timed(run, OURS, work, command)
