"""A training that was killed goes on from its checkpoint as if it had not been."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import tiny
import torch

from headstart.errors import HeadstartError
from headstart.runtime.checkpoints import load_checkpoint, save_checkpoint
from headstart.training import loop

STEPS, EPOCHS = tiny.STEPS, tiny.EPOCHS


def always_save(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "CHECKPOINT_EVERY", -1.0)


@pytest.mark.parametrize("step", [1, STEPS, STEPS + 1, 2 * STEPS + 2, EPOCHS * STEPS])
def test_a_run_that_died_goes_on_as_if_it_had_not(
    step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    always_save(monkeypatch)
    path = tmp_path / "run.checkpoint"
    with pytest.raises(tiny.Killed):
        tiny.run(tiny.SessionOptions(progress=tiny.dies_at(step), checkpoint=path))
    again = tiny.Recording()
    model, result = tiny.run(tiny.SessionOptions(progress=again, checkpoint=path))
    assert again.steps == STEPS * (EPOCHS - (step - 1) // STEPS)
    assert any("Going on" in text for text in again.said) == (step > STEPS)
    unbroken, expected = tiny.run()
    assert tiny.same_tensors(model, unbroken)
    assert tiny.without_seconds(result) == tiny.without_seconds(expected)
    assert (result.steps, result.best) == (expected.steps, expected.best)


def test_a_run_that_died_again_and_again_ends_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    always_save(monkeypatch)
    path = tmp_path / "run.checkpoint"
    for _ in range(EPOCHS - 1):  # each gets through one epoch
        with pytest.raises(tiny.Killed):
            tiny.run(tiny.SessionOptions(progress=tiny.dies_at(STEPS + 1), checkpoint=path))
    assert tiny.same_tensors(tiny.run(tiny.SessionOptions(checkpoint=path))[0], tiny.run()[0])


KILLED_RUN = """
import os, pathlib, signal, sys
import tiny
from headstart.training import loop

def at_step(done):
    if done == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)

loop.CHECKPOINT_EVERY = -1.0
tiny.run(tiny.SessionOptions(None, tiny.Recording(at_step), pathlib.Path(sys.argv[1])))
"""


def test_a_process_killed_by_the_system_leaves_a_checkpoint_to_go_on_from(tmp_path: Path) -> None:
    path = tmp_path / "run.checkpoint"
    done = subprocess.run(
        [sys.executable, "-c", KILLED_RUN, str(path), str(2 * STEPS + 1)],
        env=os.environ | {"PYTHONPATH": f"{Path(__file__).parent}{os.pathsep}{os.getcwd()}"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    path.with_suffix(".writing").write_bytes(b"half a checkpoint")
    again = tiny.Recording()
    model, result = tiny.run(tiny.SessionOptions(progress=again, checkpoint=path))
    assert f"Going on after epoch 2 of {tiny.recipe().label}." in again.said
    unbroken, expected = tiny.run()
    assert tiny.same_tensors(model, unbroken)
    assert tiny.without_seconds(result) == tiny.without_seconds(expected)


def test_a_finished_run_is_not_run_again(tmp_path: Path) -> None:
    session = tiny.SessionOptions(checkpoint=tmp_path / "run.checkpoint")
    first, result = tiny.run(session)
    again = tiny.Recording()
    second, told_again = tiny.run(
        tiny.SessionOptions(progress=again, checkpoint=session.checkpoint)
    )
    assert again.steps == 0
    assert tiny.same_tensors(first, second)
    assert told_again == result


def test_a_checkpoint_holds_tensors_and_plain_values_only(tmp_path: Path) -> None:
    path = tmp_path / "run.checkpoint"
    tiny.run(tiny.SessionOptions(checkpoint=path))
    assert torch.load(path, weights_only=True)["record"]["finished"]
    assert [each for each in tmp_path.iterdir() if each.name != "cache"] == [path]


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    path = tmp_path / "run.checkpoint"
    save_checkpoint(path, {"epoch": 1})
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(HeadstartError, match=r"run\.checkpoint.*[Rr]emove"):
        load_checkpoint(path)


def test_a_checkpoint_on_a_full_disk_leaves_the_earlier_one(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    path = tmp_path / "run.checkpoint"
    save_checkpoint(path, {"epoch": 1})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 4096, limits[1]))
    try:
        with pytest.raises(HeadstartError, match="Free some space"):
            save_checkpoint(path, {"epoch": 2, "model": torch.zeros(50_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert load_checkpoint(path) == {"epoch": 1}
    assert [each for each in tmp_path.iterdir() if each.name != "cache"] == [path]
