"""`headstart serve`, LitServe and BentoML with one OpenVINO graph: requests a second, and p99.

All three get the same picture in base64 and answer with the same labels. Each is first asked as
fast as it answers, then at a share of what it can; then all at the same rate, that share of what
the slowest can. The load comes from this process, on the same cores.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil

from benchmarks import environments
from benchmarks.measuring import held
from benchmarks.registry import OURS, ROOT, SCRIPTS
from benchmarks.serving.load import Answers, Target, at_rate, fastest

EACH: Final = 20  # photos of a class, to fit a head on
SHARE: Final = 0.8  # of what a server can
CONNECTIONS: Final = 32
START: Final = 180.0  # seconds


@dataclass(frozen=True)
class Contender:
    """A server: its name, what starts it, which variables, and how a picture is put to it."""

    name: str
    command: Sequence[str | Path]
    variables: Mapping[str, str]
    path: str
    body: Mapping[str, Any]
    ready: str


@dataclass(frozen=True)
class Plan:
    """Photos by class, weights, a folder to work in, and seconds of each measurement."""

    photos: Path
    weights: Path
    work: Path
    seconds: float

    def model(self) -> Path:
        """A frozen MobileNetV2 with a head for the photos, as `fit` saves it; made once."""
        folder = self.work / "model"
        if not (folder / "headstart.json").exists():
            shutil.rmtree(self.work, ignore_errors=True)
            for each in sorted(self.photos.iterdir()):
                (self.work / "photos" / each.name).mkdir(parents=True)
                for photo in sorted(each.iterdir())[:EACH]:
                    shutil.copy(photo, self.work / "photos" / each.name)
            reference = f"timm:mobilenetv2_100@{self.weights}"
            fit = ["fit", str(self.work / "photos"), "-b", reference, "-o", str(folder)]
            fit += ["-s", "feature-extraction", "--no-scratch", "--evidence", "none", "--offline"]
            _run([sys.executable, "-m", "headstart", *fit], self.work)
        return folder

    def graph(self, model: Path) -> Path:
        """The saved model's own graph as one file of OpenVINO, and what stands around it."""
        folder = self.work / "graph"
        folder.mkdir(exist_ok=True)
        write_graph(model, folder)
        return folder

    def ours(self) -> Contender:
        """This server, ready to start on a port that is put in for PORT."""
        command = [sys.executable, "-m", "headstart", "serve", str(self.model()), "--port", "PORT"]
        command += ["--log", str(self.work / "served"), "--offline"]
        return Contender(OURS, command, {}, "/predict", {"inputs": [self._image()]}, "/ready")

    def _image(self) -> str:
        """A photo of the model's own in base64."""
        photo = sorted((self.work / "photos").glob("*/*.jpg"))[0]
        return base64.b64encode(photo.read_bytes()).decode()

    def contenders(self) -> list[Contender]:
        """All of them, ready to start on a port that is put in for PORT."""
        entries, graph, image = [self.ours()], self.graph(self.model()), self._image()
        for workers in dict.fromkeys((1, os.cpu_count() or 1)):
            python = environments.make("litserve")
            script: list[str | Path] = [
                python,
                SCRIPTS / "litserve_server.py",
                graph,
                "PORT",
                str(workers),
            ]
            name = f"LitServe, workers {workers}"
            entries.append(Contender(name, script, {}, "/predict", {"image": image}, "/health"))
            python = environments.make("bentoml")
            bento: list[str | Path] = [python, "-m", "bentoml", "serve", "bentoml_server:Pictures"]
            own = {"FOLDER": str(graph), "WORKERS": str(workers), "BENTOML_DO_NOT_TRACK": "1"}
            entries.append(
                Contender(
                    f"BentoML, workers {workers}",
                    [*bento, "--host", "127.0.0.1", "--port", "PORT"],
                    own,
                    "/predict",
                    {"images": [image]},
                    "/readyz",
                )
            )
        return entries


def write_graph(model: Path, folder: Path) -> None:
    """Write a saved model's body and head as one graph, float32 as it is, and `facts.json`."""
    from headstart import artifact
    from headstart.loading import engine_form
    from headstart.loading.openvino_runtime import library

    openvino = library()
    record, weights = artifact.read_whole(model)
    files = engine_form.read(model, record.engine)
    if files is None:
        raise RuntimeError(f"{model} has no form for OpenVINO")
    form = engine_form.EngineForm.of(files, list(weights))
    core, content = openvino.Core(), openvino.Tensor(form.constants, shared_memory=True)
    body, head = (
        core.read_model(files[name].decode(), content)
        for name in (engine_form.BODY, engine_form.HEAD)
    )
    features = body.get_results()[0].input_value(0)
    head.get_parameters()[0].output(0).replace(features)
    whole = openvino.Model(head.get_results(), body.get_parameters(), "whole")
    openvino.save_model(whole, folder / "model.xml", compress_to_fp16=False)
    preprocess = record.preprocess
    facts = {
        "labels": list(record.labels),
        "side": preprocess["width"],
        "resized": round(preprocess["width"] / preprocess["crop"]),
        "mean": list(preprocess["mean"]),
        "std": list(preprocess["std"]),
        "settings": {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"},
    }
    (folder / "facts.json").write_text(json.dumps(facts))


@contextmanager
def started(contender: Contender, log: Path) -> Iterator[tuple[Target, int]]:
    """A contender that answers, as what it is asked and its process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    command = [str(port) if part == "PORT" else str(part) for part in contender.command]
    own = {"PYTHONPATH": str(ROOT if contender.name == OURS else SCRIPTS)}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=SCRIPTS if contender.name != OURS else log.parent,
            env={**os.environ, **own, **contender.variables},
            start_new_session=True,  # shares cores as others do, and ends with its workers
        )
    try:
        _wait(f"http://127.0.0.1:{port}{contender.ready}", process, log)
        body = json.dumps(contender.body).encode()
        yield Target(port, contender.path, body), process.pid
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (OSError, urllib.error.URLError):
            time.sleep(0.2)
    raise RuntimeError(f"a server did not start; see {log}")


def _run(command: Sequence[str], work: Path) -> None:
    environment = {"PYTHONPATH": str(ROOT), "HEADSTART_CACHE": str(work / "cache")}
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {done.stderr[-2000:]}")


def compare(plan: Plan, rounds: int, out: Path) -> list[dict[str, Any]]:
    """Measure all in turns, print the table of medians, and write it as JSON with the machine."""
    from benchmarks.machine import facts

    contenders, every = plan.contenders(), []
    for _ in range(rounds):
        rows = [_alone(each, plan) for each in contenders]
        common = SHARE * min(row["rate"] for row in rows)
        for row, contender in zip(rows, contenders, strict=True):
            with started(contender, plan.work / "server.log") as (target, _):
                _warm(target, plan)
                at_common = asyncio.run(at_rate(target, common, plan.seconds))
            row |= {"common rate": round(common, 1), "common p99": _p99(at_common)}
        every.append(rows)
    medians = [median_of(own) for own in zip(*every, strict=True)]
    out.parent.mkdir(parents=True, exist_ok=True)
    content = {"machine": facts(), "load": os.getloadavg()[0], "rows": medians, "rounds": every}
    out.write_text(json.dumps(content, indent=1) + "\n")
    print(as_markdown(medians))
    return medians


def median_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The median of each number of one server's rows; failures are added up."""
    medians = {
        name: round(statistics.median(row[name] for row in rows), 1)
        for name, value in rows[0].items()
        if not isinstance(value, str)
    }
    return {**rows[0], **medians, "failures": sum(row["failures"] for row in rows)}


def _alone(contender: Contender, plan: Plan) -> dict[str, Any]:
    """What one can, and how long answers take at a share of that."""
    print(f"{contender.name} …", flush=True)
    with started(contender, plan.work / "server.log") as (target, process):
        _warm(target, plan)
        before = computed(process)
        most = asyncio.run(fastest(target, CONNECTIONS, plan.seconds))
        spent = (computed(process) - before) / max(1, len(most.seconds))
        loaded = asyncio.run(at_rate(target, SHARE * most.rate, plan.seconds))
        memory = held(process)
    return {
        "server": contender.name,
        "rate": round(most.rate, 1),
        "cpu": round(1000 * spent, 1),
        "p50": round(loaded.percentile(50), 1),
        "p99": _p99(loaded),
        "failures": most.failures + loaded.failures,
        "MiB": round(memory / 2**20),
    }


def computed(pid: int) -> float:
    """CPU-seconds of a process and its children, which say more than clocks on a busy machine."""
    process = psutil.Process(pid)
    times = [each.cpu_times() for each in (process, *process.children(recursive=True))]
    return float(sum(each.user + each.system for each in times))


def _warm(target: Target, plan: Plan) -> None:
    asyncio.run(fastest(target, 4, min(3.0, plan.seconds)))


def _p99(answers: Answers) -> float:
    return round(answers.percentile(99), 1)


def as_markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as a table."""
    lines = [
        "| server | requests/s | CPU ms a request | p50, p99 at 80 % of that, ms "
        "| p99 at the same rate, ms | failed | MiB |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    lines += [
        f"| {row['server']} | {row['rate']} | {row['cpu']} | {row['p50']}, {row['p99']} "
        f"| {row['common p99']} (at {row['common rate']}/s) | {row['failures']} | {row['MiB']} |"
        for row in rows
    ]
    return "\n".join(lines)
