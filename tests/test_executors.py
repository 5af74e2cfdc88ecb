"""Work that runs elsewhere answers as it does here, whoever does it and whoever dies over it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import dying
import numpy as np
import pytest
from tiny import untimed

import headstart as hs
from headstart.contracts.executor import Each, Executor, Local
from headstart.errors import DataError, HeadstartError, UnknownNameError
from headstart.evidence import features_arm
from headstart.evidence.trials import Start, Trial, outcomes
from headstart.pipeline.executing import executor_of
from headstart.pipeline.prepare import RunContext
from headstart.pipeline.selection.choosing import prepare
from headstart.runtime.budget import Budget
from headstart.runtime.progress import Silent
from headstart.testing import check_part

if find_spec("ray") is None:  # not imported here, as it then listens on all addresses
    pytest.skip("needs the extra ray", allow_module_level=True)
WARNINGS = "ignore:.*RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO.*:FutureWarning"


@pytest.fixture(scope="module")
def instance() -> Iterator[None]:
    """An instance of Ray, started by the first test, whose workers find the functions here."""
    with pytest.MonkeyPatch.context() as patch:
        here = os.pathsep.join([str(Path(__file__).parent), *sys.path])
        patch.setenv("PYTHONPATH", here)
        yield
        import ray

        ray.shutdown()


def executor(where: str, workers: int | None = None, offline: bool = False) -> Executor:
    return executor_of(hs.Settings(on=where, workers=workers, offline=offline))


def square(number: int) -> tuple[int, int]:
    return number * number, os.getpid()


def mistaken(number: int) -> int:
    if number == 3:
        raise DataError("3 can't be. Give another.")
    if number == 4:
        raise UnknownNameError("number", "4", ["1", "2"])
    return number


def killed_once(folder: Path, number: int) -> int:
    """Dies at every fifth number, the first time it comes by; notes what it was called with."""
    with open(folder / f"{number}", "a", encoding="utf-8") as file:
        file.write("x")
    if number % 5 == 0 and (folder / f"{number}").read_text(encoding="utf-8") == "x":
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def killed_always(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_work_stays_here_unless_another_place_is_named() -> None:
    local = executor("local")
    assert isinstance(local, Local)
    assert list(local.run(Each(square), [2, 3])) == [(4, os.getpid()), (9, os.getpid())]
    assert list(local.run(Each(square), [])) == []
    for where, workers in (("local:there", None), ("local", 2)):
        with pytest.raises(HeadstartError, match="can't be"):
            executor(where, workers)
    with pytest.raises(UnknownNameError, match="rya"):
        executor("rya")


def test_a_library_that_is_absent_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setattr("headstart.executors.ray.find_spec", lambda name: None)
    with pytest.raises(HeadstartError, match=r"Run: pip install 'headstart\[ray\]'"):
        executor("ray")


def test_no_connection_leaves_the_machine_offline() -> None:
    for address in ("10.0.0.1:6379", "ray://cluster:10001", "auto", "127.0.0.1:6379"):
        with pytest.raises(HeadstartError, match="may reach other machines"):
            executor(f"ray:{address}", offline=True)


def test_a_place_where_nobody_answers_is_named() -> None:
    with pytest.raises(HeadstartError, match=r"answers at 127\.0\.0\.1:1 "):
        executor("ray:127.0.0.1:1")


def test_more_workers_than_memory_holds_are_refused() -> None:
    with pytest.raises(HeadstartError, match="--workers 1000000 are more than the free memory"):
        executor("ray", 1_000_000)


LISTENING = """
import json, os, psutil
from headstart.contracts.executor import Each
from headstart.executors.ray import Ray

executor = Ray("", 1, offline=True)
executor.start()
answers = list(executor.run(Each(abs), [-1, 2]))
family = [psutil.Process(), *psutil.Process().children(recursive=True)]
sockets = [socket for each in family for socket in each.net_connections("inet")]
heard = [socket.laddr.ip for socket in sockets if socket.status == psutil.CONN_LISTEN]
spoken = [socket.raddr.ip for socket in sockets if socket.raddr]
print(json.dumps([answers, heard, spoken, len(os.environ["RAY_AUTH_TOKEN"])]))
"""


@pytest.mark.slow
def test_an_instance_here_reaches_and_is_reached_by_this_machine_alone(tmp_path: Path) -> None:
    environment = {name: text for name, text in os.environ.items() if not name.startswith("RAY_")}
    done = subprocess.run(
        [sys.executable, "-c", LISTENING],
        env=environment | {"HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    answers, heard, spoken, token = json.loads(done.stdout.splitlines()[-1])
    assert answers == [1, 2]
    assert len(heard) > 3
    assert {address.removeprefix("::ffff:") for address in heard + spoken} == {"127.0.0.1"}
    assert token == 64
    assert not (tmp_path / ".ray").exists()  # where Ray keeps its token for all to read


@pytest.mark.filterwarnings(WARNINGS)
def test_outcomes_come_in_order_and_workers_are_replaced(instance: None, tmp_path: Path) -> None:
    workers = executor("ray", 2)
    outcomes = list(workers.run(Each(square), range(40)))
    assert [number for number, _ in outcomes] == [number * number for number in range(40)]
    assert os.getpid() not in {process for _, process in outcomes}
    assert list(workers.run(Each(square), [])) == []
    with pytest.raises(DataError, match="3 can't be"):
        list(workers.run(Each(mistaken), range(8)))
    with pytest.raises(HeadstartError, match="Number '4' is not known"):
        list(workers.run(Each(mistaken), range(4, 8)))
    assert list(workers.run(Each(partial(killed_once, tmp_path)), range(1, 13))) == [*range(1, 13)]
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(HeadstartError, match=f"ray:{address} is not the cluster that this"):
            executor(f"ray:{address}")
    calls = {int(file.name): len(file.read_text()) for file in tmp_path.iterdir()}
    assert calls == {number: 2 if number % 5 == 0 else 1 for number in range(1, 13)}


def test_this_process_keeps_the_contract() -> None:
    assert "keeps_the_order" in check_part("executors", "local")


@pytest.mark.slow
@pytest.mark.filterwarnings(WARNINGS)
def test_ray_keeps_the_contract(instance: None) -> None:
    assert "passes_refusals_on" in check_part("executors", "ray")


@pytest.mark.slow
@pytest.mark.filterwarnings(WARNINGS)
def test_pieces_that_kill_every_worker_are_given_up(instance: None) -> None:
    with pytest.raises(HeadstartError, match="died 3 times over the same items"):
        list(executor("ray", 2).run(Each(killed_always), range(3)))


@pytest.mark.slow
@pytest.mark.filterwarnings(WARNINGS)
@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_features_are_the_same_for_any_number_of_workers(
    instance: None, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    rows: dict[object, bytes] = {}
    for workers in (None, 1, 2, 4):
        monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / f"cache{workers}"))
        where: dict[str, Any] = {"on": "ray", "workers": workers} if workers else {}
        done = hs.cache_features(
            pictures, "seeded:convnet", engine=engine, precision="fp32", batch_size=8, **where
        )
        assert done.computed == 80
        (file,) = (tmp_path / f"cache{workers}").glob("features/*/rows.bin")
        rows[workers] = file.read_bytes()
    assert len({*rows.values()}) == 1


@pytest.mark.slow
@pytest.mark.filterwarnings(WARNINGS)
@pytest.mark.parametrize("judge", ["holdout", "cv"])
def test_trainings_are_the_same_in_workers(
    instance: None, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, judge: str
) -> None:
    """Strategies, folds, rates from scratch and other seeds, in this process and in workers."""
    reports: list[dict[str, Any]] = []
    weights = []
    for workers in (None, 1, 2):
        monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / f"cache-{workers}"))
        settings = hs.Settings(
            epochs=2, device="cpu", seeds=3, evidence="none", precision="fp32", engine="torch"
        )
        where: dict[str, Any] = {"on": "ray", "workers": workers} if workers else {}
        settings = replace(settings, judge=judge, **where)
        place = tmp_path / f"{workers}"
        hs.fit(pictures, "seeded:convnet", place, strategy="auto", settings=settings)
        reports.append(json.loads((place / "evidence.json").read_text(encoding="utf-8")))
        weights.append((place / "model.safetensors").read_bytes())
    assert {"tried", "arms", "gain", "by_seed", "protocol"} & reports[0].keys() >= {"arms", "gain"}
    assert untimed(reports[0]) == untimed(reports[1]) == untimed(reports[2])
    assert weights[0] == weights[1] == weights[2]


@pytest.mark.slow
@pytest.mark.filterwarnings(WARNINGS)
def test_a_worker_that_dies_in_a_training_is_replaced_and_its_checkpoint_gone_on_with(
    instance: None, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headstart.training.loop.CHECKPOINT_EVERY", 5.0)  # restored afterwards
    settings = hs.Settings(epochs=5, device="cpu", precision="fp32", engine="torch")
    outputs, epochs = [], []
    for where in ("local", "ray"):
        folder = tmp_path / where
        folder.mkdir()
        context = RunContext.of(
            replace(settings, on=where, workers=2 if where == "ray" else None), Silent()
        )
        transfer = prepare(pictures, "seeded:convnet?width=8", "full-fine-tuning", context)
        experiment = replace(transfer.experiment, workspace=folder)
        features = features_arm(experiment, transfer.backbone)
        start = Start(experiment, transfer.backbone, features)
        if where == "local":  # which survives, as it seems to have died before
            for number in range(2):
                (folder / f"{number}").mkdir()
                (folder / f"{number}" / f"{dying.FATAL}").write_text("x", encoding="utf-8")
        budget = Budget(None)
        trials = [Trial(number, budget, budget) for number in range(2)]
        call = partial(dying.trained, start, folder)
        outputs.append(list(outcomes(experiment.executor, call, trials)))
        epochs.append(
            [
                {file.name: file.stat().st_size for file in (folder / f"{number}").iterdir()}
                for number in range(2)
            ]
        )
    assert np.array_equal(outputs[0], outputs[1])
    assert (
        epochs[0] == epochs[1]
    )  # each once, and the fatal one twice: from the checkpoint before it


@pytest.mark.slow
@pytest.mark.filterwarnings(WARNINGS)
def test_backbones_are_ranked_alike_in_workers(
    instance: None, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By features of few and of all items, and by fine-tuning of those that are level."""
    monkeypatch.setattr("headstart.pipeline.selection.ranking.FIRST", 30)
    names = [f"seeded:convnet?width=8&seed={seed}" for seed in range(3)]
    rows, stored = [], []
    for workers in (None, 2):
        cache = tmp_path / f"cache-{workers}"
        monkeypatch.setenv("HEADSTART_CACHE", str(cache))
        where: dict[str, Any] = {"on": "ray", "workers": workers} if workers else {}
        options: dict[str, Any] = {
            "epochs": 4,
            "budget": 3600.0,
            "device": "cpu",
            "precision": "fp32",
        }
        ranking = hs.rank(pictures, names, engine="torch", **options, **where).to_json()
        keys = ("backbone", "expected", "low", "high", "tuned", "scores", "dropped")
        rows.append([{key: row[key] for key in keys} for row in ranking["ranking"]])
        stored.append(len(list(cache.glob("features/*/rows.bin"))))
    assert rows[0] == rows[1] and rows[0][0]["tuned"]
    assert stored[0] == stored[1] > 0  # a fit that follows finds what workers computed
