"""How long the network from scratch trains, and how one of an earlier run is taken again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_arms import target

from headstart import defaults
from headstart.evidence import ArmResult, remembered, scratch_arm, scratch_at
from headstart.evidence.bound import Bound
from headstart.evidence.experiment import Experiment
from headstart.evidence.record import Arm
from headstart.evidence.scratch import EARLIER
from headstart.features import cache
from headstart.runtime.places import cache_folder
from headstart.training import Training, record

EPOCHS = 8


def transfer(right: np.ndarray, seconds: float = 1.0, steps: int = 0) -> Arm:
    """A transfer with these scores on validation."""
    selection_key = float(right.mean()), 0.0
    return Arm("features", right, selection_key, seconds, steps, checked=right)


@pytest.fixture
def aim(pictures: Path, tmp_path: Path) -> Experiment:
    return replace(target(pictures, tmp_path), workspace=None)


def bound(aim: Experiment, arm: Arm | None) -> Bound:
    return Bound(aim, tiny.recipe(epochs=EPOCHS, batch=8), arm)


def searched(pace: float, steps: int = 100) -> list[Training]:
    return [Training(steps=steps, seconds=pace * steps)]


def test_scratch_has_its_epochs_where_they_fit(aim: Experiment) -> None:
    whole = defaults.SCRATCH_MORE_STEPS * EPOCHS
    arm = transfer(np.ones(5))
    assert bound(aim, None).epochs(searched(1e6)) == whole  # where there is no transfer
    assert bound(aim, arm).epochs(searched(1e-4)) == whole
    least = bound(aim, arm).epochs(searched(1e6))
    assert least * aim.steps_per_epoch() >= min(
        EPOCHS * aim.steps_per_epoch(), defaults.SCRATCH_STEPS
    )
    assert least < whole
    slow = transfer(np.ones(5), seconds=1e9)
    assert bound(aim, slow).epochs(searched(1e3)) == whole
    many = transfer(np.ones(5), steps=whole * aim.steps_per_epoch())
    assert bound(aim, many).epochs(searched(1e6)) == whole


@given(st.floats(1e-4, 1e4), st.floats(0.01, 1e4))
def test_scratch_never_takes_fewer_steps_than_are_due(pace: float, seconds: float) -> None:
    class Counts:
        """A target of 240 items."""

        dataset = type("Items", (), {"items": range(240)})

        def steps_per_epoch(self) -> int:
            return 20

    arm = transfer(np.ones(5), seconds=seconds, steps=70)
    result = Bound(Counts(), tiny.recipe(epochs=EPOCHS, batch=8), arm)  # type: ignore[arg-type]
    epochs = result.epochs(searched(pace))
    assert 20 * epochs >= result.least == 160
    assert epochs <= result.whole
    if epochs * 20 > result.least:  # within its time, or the fewest that are due
        most = max(defaults.SCRATCH_SECONDS, defaults.SCRATCH_TIMES * max(seconds, pace * 10))
        assert (100 + 20 * epochs) * pace <= most


def course(scores: list[float], per_epoch: int) -> Training:
    rows = [{"steps": float(per_epoch * n), "score": s} for n, s in enumerate(scores)]
    result = Training(history=rows, steps=per_epoch * (len(scores) - 1))
    result.best = int(np.argmax(scores))
    return result


def test_scratch_ends_only_where_validation_has_decided(aim: Experiment) -> None:
    count, per = len(aim.dataset.split("validation")), aim.steps_per_epoch()
    truth = aim.dataset.targets("validation")
    wrong = np.eye(2, dtype=np.float32)[1 - truth]
    flat, rising = [0.0] * 13, [n / 30 for n in range(13)]
    decided = bound(aim, transfer(np.ones(count)))
    assert decided.decided(course(flat, per), wrong)
    assert not decided.decided(course(flat[:6], per), wrong)  # too early
    half = np.where((np.arange(count) % 2 == 0)[:, None], wrong, 1 - wrong)
    assert not decided.decided(course([0.0] * 11 + [0.4, 0.8], per), half)  # it still grows
    assert not bound(aim, transfer(np.zeros(count))).decided(course(rising, per), 1 - wrong)
    assert not bound(aim, None).decided(course(flat, per), wrong)


def test_a_training_ends_where_it_is_decided() -> None:
    session = replace(tiny.session(), decided=lambda training, outputs: training.epochs == 2)
    result = Training(history=[{"score": 0.5, "validation_loss": 1.0}] * 3, best=0)
    result.conclude(tiny.recipe(epochs=9), session, np.zeros((3, 2)))
    assert result.decided and result.finished
    assert isinstance(session, record.Session)


def test_scratch_is_taken_from_an_earlier_run(aim: Experiment) -> None:
    reference, rates, progress = tiny.recipe(epochs=2), (1e-2, 1e-3), tiny.Recording()
    result, message = scratch_arm(aim, tiny.backbone, reference, rates)
    again = replace(aim, progress=progress)
    earlier_arm, text = scratch_arm(
        again, tiny.backbone, replace(reference, learning_rate=9.0), rates
    )
    assert text == message + EARLIER and progress.steps == 0
    same(result, earlier_arm)
    assert "scratch" in {entry.name for entry in cache.entries()}
    other = replace(aim, settings=replace(aim.settings, seed=1))
    assert not scratch_arm(other, tiny.backbone, reference, rates)[1].endswith(EARLIER)
    off = replace(aim, settings=replace(aim.settings, cache=False))
    assert scratch_arm(off, tiny.backbone, reference, rates)[1] == message
    due = transfer(np.ones(len(aim.dataset.split("validation"))), steps=10_000)
    assert EARLIER not in scratch_arm(aim, tiny.backbone, reference, rates, due)[1]

    labels = scratch_at(aim, tiny.backbone, reference, 1e-2, 1)
    same(labels, scratch_at(again, tiny.backbone, reference, 1e-2, 1))
    assert progress.steps == 0


def test_a_damaged_network_is_trained_anew(aim: Experiment) -> None:
    reference = tiny.recipe(epochs=1)
    result = scratch_at(aim, tiny.backbone, reference, 1e-2)
    (file,) = (cache_folder() / remembered.FOLDER).iterdir()
    whole = file.read_bytes()
    for spoiled in (whole[: len(whole) // 2], b"", whole.replace(b"outputs.test", b"outputs.tess")):
        file.write_bytes(spoiled)
        same(result, scratch_at(aim, tiny.backbone, reference, 1e-2))
        assert file.read_bytes() != spoiled


def same(one: ArmResult, other: ArmResult) -> None:
    for name in ("validation", "test"):
        assert (one.arm.outputs[name] == other.arm.outputs[name]).all()
    assert (one.arm.scores == other.arm.scores).all() and one.arm.steps == other.arm.steps
    assert one.training.best == other.training.best and one.recipe == other.recipe
    states = one.model.state_dict(), other.model.state_dict()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
