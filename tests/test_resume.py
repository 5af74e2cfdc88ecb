"""A run that is killed, at any moment, goes on and ends with the weights of an unbroken one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from conftest import write_pictures
from tiny import untimed
from typer.testing import CliRunner, Result

import headstart as hs
from headstart.cli import app

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 90.0  # seconds to wait for a run to come to a certain point
# The command itself, with a checkpoint after every epoch: at the usual pace, one each five seconds,
# so short a run would have none but at its ends. Folds are left out as in this process.
OFTEN = (
    "from headstart import defaults; from headstart.training import loop\n"
    "defaults.FOLDED = defaults.LEAST_HELD_OUT = defaults.SETTLED = 0\n"
    "loop.CHECKPOINT_EVERY = -1.0\n"
    "from headstart.cli import main; main()"
)


def command(
    *start: str, data: Path, out: Path, evidence: str = "full", epochs: int = 6
) -> list[str]:
    """The same fit, begun by `start`."""
    choice = [
        "-s",
        "full-fine-tuning",
        "--epochs",
        str(epochs),
        "--batch-size",
        "8",
        "--json",
        "-o",
        str(out),
    ]
    choice += ["--judge", "holdout", "--evidence", evidence]
    return [sys.executable, *start, "fit", str(data), "-b", "seeded:residual", *choice]


def here(words: list[str]) -> Result:
    """The same command in this process, where the libraries are imported already."""
    return CliRunner().invoke(app, words[1:])


Begin = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def begin() -> Iterator[Begin]:
    """Start runs in processes of their own, which do not outlive the test."""
    begun: list[subprocess.Popen[bytes]] = []

    def start(
        *how: str, data: Path, out: Path, cache: Path, **options: Any
    ) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            command(*how, data=data, out=out, **options),
            cwd=ROOT,
            env=os.environ | {"HEADSTART_CACHE": str(cache)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        begun.append(process)
        return process

    yield start
    for process in begun:
        if process.poll() is None:
            process.kill()
            process.communicate()


def kill_when(process: subprocess.Popen[bytes], come: Callable[[], bool]) -> bytes:
    """Kill a run with SIGKILL as soon as it has come to a point; answer what it said till then."""
    end = time.monotonic() + PATIENCE
    while not come():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    _, errors = process.communicate()
    assert process.returncode == -signal.SIGKILL
    return errors


def moments(unfinished: Path, every: bool) -> Iterator[tuple[str, Callable[[], bool]]]:
    """Points of a run, in the order it comes to them: every kind, or two of them."""

    def there(path: Path) -> Callable[[], bool]:
        return lambda: path.exists()

    def renewed(path: Path) -> Callable[[], bool]:
        before = path.stat().st_mtime_ns
        return lambda: path.stat().st_mtime_ns > before

    chosen = unfinished / "full-fine-tuning.checkpoint"
    if every:
        yield "the first epoch of the strategy", there(chosen)
        yield "a later epoch of the strategy", renewed(chosen)
    yield "a checkpoint half written", there(unfinished / "scratch-1.writing")
    if every:
        yield "a later epoch from scratch", there(unfinished / "scratch.checkpoint")
    yield "the last check of the model", there(unfinished / "artifact")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Enough pictures for some steps."""
    return write_pictures(tmp_path / "data", {"ants": 40, "bees": 40})


@pytest.mark.parametrize(
    "every", [pytest.param(True, marks=pytest.mark.slow), False], ids=["everywhere", "twice"]
)
def test_killed_and_resumed_equals_unbroken(
    every: bool, data: Path, tmp_path: Path, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, killed = tmp_path / "whole" / "model", tmp_path / "killed" / "model"
    cache = tmp_path / "killed-cache"
    options: Any = {"evidence": "quick", "epochs": 2}
    if every:
        options = {"evidence": "full", "epochs": 6}
    begin = partial(begin, data=data, **options)
    assert here(command(data=data, out=whole, **options)).exit_code == 0

    unfinished = killed.with_name("model.unfinished")
    records = set()
    for moment, come in moments(unfinished, every):
        process = begin("-c", OFTEN, out=killed, cache=cache)
        last_line = kill_when(process, come).decode()
        answers = hs.load(killed).predict(sorted((data / "ants").iterdir())[:2])
        assert len(answers) == 2, moment
        assert "Traceback" not in last_line, (moment, last_line)
        records.add((unfinished / "run.json").read_text())
    assert len(records) == 1

    monkeypatch.setenv("HEADSTART_CACHE", str(cache))
    last = here(command(data=data, out=killed, **options))
    assert last.exit_code == 0, last.stderr
    assert "An unfinished run of the same kind is here; going on with it." in last.stderr
    assert "Going on after epoch" in last.stderr
    assert json.loads(last.stdout)["out"] == str(killed)
    assert os.listdir(killed.parent) == ["model"]

    assert sorted(os.listdir(whole)) == sorted(os.listdir(killed))
    for name in ("model.safetensors", "plan.json"):
        assert (whole / name).read_bytes() == (killed / name).read_bytes(), name
    one, other = (json.loads((folder / "evidence.json").read_text()) for folder in (whole, killed))
    assert untimed(one) == untimed(other)


def test_two_runs_at_one_place(data: Path, tmp_path: Path, begin: Begin) -> None:
    out, cache = tmp_path / "model", tmp_path / "cache"
    first = begin("-c", OFTEN, data=data, out=out, cache=cache)
    record = tmp_path / "model.unfinished" / "run.json"
    end = time.monotonic() + PATIENCE
    while not record.exists():
        assert first.poll() is None and time.monotonic() < end
        time.sleep(0.01)

    before = record.read_bytes()
    second = here(command(data=data, out=out))
    assert second.exit_code == 2
    errors = [line for line in second.stderr.splitlines() if line.startswith("error: ")]
    assert errors == [
        f"error: {out} is being written by another run. Wait for it, or name another folder."
    ]
    assert first.poll() is None and record.read_bytes() == before

    kill_when(first, lambda: True)
    assert not out.exists() or hs.load(out).labels == ("ants", "bees")
