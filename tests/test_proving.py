"""A model before its proof: usable at once, kept by an interrupt, proven later, never changed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, final

import pytest
import torch
from conftest import Fitted, write_pictures
from told import run

import headstart as hs
from headstart.errors import HeadstartError
from headstart.evidence.doubt import UNENDED
from headstart.loading import record as records
from headstart.loading import weights
from headstart.results import Result
from headstart.runtime.progress import Advance, Progress
from headstart.runtime.workspace import _exchange
from headstart.training import loop

ROOT = Path(__file__).resolve().parents[1]
TINY = "seeded:convnet?width=4"
PATIENCE = 120.0  # seconds to wait for a run to come to a certain point


def evidence(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "evidence.json").read_text())
    return content


def model_files(folder: Path) -> dict[str, bytes]:
    names = ("headstart.json", "model.safetensors", "plan.json")
    return {name: (folder / name).read_bytes() for name in names}


@final
class Stopping(Progress):
    """Keeps what is said and what was worked on, and interrupts one work after so many steps."""

    def __init__(self, what: str = "", step: int = 0) -> None:
        self.said: list[str] = []
        self.works: list[str] = []
        self._what, self._step = what, step

    def say(self, text: str) -> None:
        self.said.append(text)

    def warn(self, text: str) -> None:
        self.said.append(text)

    @contextmanager
    def track(self, what: str, total: int) -> Iterator[Advance]:
        self.works.append(what)
        done = []

        def advance(count: int) -> None:
            done.append(count)
            if what == self._what and len(done) == self._step:
                raise KeyboardInterrupt

        yield advance


def test_an_interrupt_leaves_a_model_and_the_proof_goes_on_later(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "CHECKPOINT_EVERY", -1.0)
    out, settings = tmp_path / "model", hs.Settings(epochs=4, batch_size=16, evidence="quick")
    progress = Stopping("full-fine-tuning", 3)
    arguments = (pictures, TINY, out)
    result = hs.fit(*arguments, strategy="full-fine-tuning", settings=settings, progress=progress)
    assert result.stopped and result.folder == out
    assert any(f"{out} holds a model that can be used" in text for text in progress.said)
    before = evidence(out)
    assert before["gain"] is None and before["verdict"] == "unknown"
    assert before["doubt"] == UNENDED and "scratch" not in before["arms"]
    assert result.to_json() == json.loads(json.dumps(before)) | {"out": str(out), "stopped": True}
    assert f"headstart prove {out}" in str(result)
    assert (out / "report.html").exists() and out.with_name("model.unfinished").is_dir()
    answers, files = hs.load(out).predict([pictures / "ants" / "000.png"]), model_files(out)

    with pytest.raises(HeadstartError, match=r"left unfinished.*headstart prove"):
        hs.fit(*arguments, strategy="last-stages", settings=settings)
    with pytest.raises(KeyboardInterrupt):
        hs.prove(out, progress=Stopping("scratch", 9))
    assert evidence(out) == before

    progress = Stopping()
    proven = hs.prove(out, progress=progress)
    assert any("Going on after epoch" in text for text in progress.said)
    record = evidence(out)
    assert not proven.stopped and record["arms"]["scratch"]["steps"] > 0
    assert record["gain"] is not None and record["doubt"] != UNENDED
    assert record["verdict"] == proven.verdict
    assert record["arms"]["chosen"]["value"] == before["arms"]["chosen"]["value"]
    assert record["calibration"]["temperature"] == pytest.approx(
        before["calibration"]["temperature"], rel=1e-3
    )
    assert model_files(out) == files
    assert hs.load(out).predict([pictures / "ants" / "000.png"]) == answers
    assert sorted(os.listdir(tmp_path)) == ["cache", "model", "pictures"]


def fit(data: Path, out: Path, progress: Progress | None = None, **given: Any) -> Result:
    """A short fit of the whole network, without findings."""
    chosen: dict[str, Any] = {"epochs": 3, "batch_size": 16, "evidence": "none"} | given
    settings, name = hs.Settings(**chosen), "full-fine-tuning"
    return hs.fit(data, TINY, out, strategy=name, settings=settings, progress=progress)


def test_the_same_fit_goes_on_after_an_interrupt(pictures: Path, tmp_path: Path) -> None:
    whole, halted = tmp_path / "whole", tmp_path / "halted"
    assert fit(pictures, halted, Stopping("full-fine-tuning", 4)).stopped
    result, other = fit(pictures, halted), fit(pictures, whole)
    assert not result.stopped
    assert result.evidence.strategy == other.evidence.strategy
    assert (halted / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    assert not halted.with_name("halted.unfinished").exists()


def test_a_proof_takes_scratch_from_an_earlier_run(pictures: Path, tmp_path: Path) -> None:
    first = fit(pictures, tmp_path / "first")
    second = fit(pictures, tmp_path / "second", scratch=False)
    assert second.evidence.gain is None and not second.doubt
    progress = Stopping()
    proven = hs.prove(tmp_path / "second", progress=progress)
    assert not any("scratch" in what for what in progress.works)
    one, other = (each.evidence.arms["scratch"] for each in (first, proven))
    assert (one.scores == other.scores).all() and one.selection_key == other.selection_key
    assert (one.steps, one.seconds) == (other.steps, other.seconds)
    assert all((one.outputs[name] == other.outputs[name]).all() for name in ("validation", "test"))
    assert "in an earlier run" in proven.evidence.protocol
    assert proven.evidence.gain == first.evidence.gain


def test_data_that_changed_or_moved_are_named(fitted: Fitted, tmp_path: Path) -> None:
    other = write_pictures(tmp_path / "other", {"ants": 8, "bees": 8}, seed=5)
    with pytest.raises(HeadstartError, match="is not what the plan was made with"):
        hs.prove(fitted.folder, other)
    ended = run("prove", str(fitted.folder), str(tmp_path / "nowhere"))
    assert ended.exit_code == 2 and "nowhere" in ended.sentence()
    ended = run("prove", str(tmp_path / "other"))
    assert ended.exit_code == 2 and "is not a saved model" in ended.sentence()


def test_a_model_that_is_replaced_meanwhile_is_opened_whole(fitted: Fitted, tmp_path: Path) -> None:
    out, other = tmp_path / "model", tmp_path / "better"
    for folder in (out, other):
        shutil.copytree(fitted.folder, folder)
    state = weights.read(other / "model.safetensors").state
    state["head.bias"] = state["head.bias"] + torch.tensor([5.0, -5.0])
    weights.save(state, other / "model.safetensors", {"format": "pt"})
    entries = records.read(other) | {"weights_sha256": weights.digest(state)}
    records.write(other, entries)
    photo = fitted.pictures / "bees" / "000.png"
    predictions = [hs.load(folder).predict([photo])[0] for folder in (out, other)]
    assert predictions[0] != predictions[1]

    def replaces() -> None:
        for _ in range(40):
            _exchange(out, other)
            time.sleep(0.02)

    thread = threading.Thread(target=replaces)
    thread.start()
    answers = [hs.load(out).predict([photo])[0]]
    while thread.is_alive():
        answers.append(hs.load(out).predict([photo])[0])
    assert all(answer in predictions for answer in answers)
    assert hs.load(out).predict([photo])[0] == predictions[0]  # 40 times is even


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_ended_leaves_a_model(
    pictures: Path, tmp_path: Path, ending: signal.Signals
) -> None:
    out = tmp_path / "model"
    choice = ["-s", "full-fine-tuning", "--epochs", "2000", "--evidence", "quick", "--json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "headstart", "fit", str(pictures), "-b", TINY, "-o", out, *choice],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        end = time.monotonic() + PATIENCE
        while not (out / "headstart.json").exists():
            assert process.poll() is None and time.monotonic() < end, process.communicate()
            time.sleep(0.02)
        assert len(hs.load(out).predict([pictures / "bees"])) == 40
        process.send_signal(ending)
        answer, errors = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert len(hs.load(out).predict([pictures / "bees"])) == 40
    assert evidence(out)["doubt"] == UNENDED
    if ending == signal.SIGKILL:
        assert process.returncode == -ending
    else:
        assert process.returncode == 130, errors
        assert json.loads(answer)["stopped"] and b"Traceback" not in errors
