"""Runs followed by experiment trackers: what is written, and that nothing there fails a run."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import fields, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, final

import pytest
import tiny
from conftest import Fitted
from typer.testing import CliRunner

import headstart as hs
from headstart import tracking
from headstart.cli import answers, app, options
from headstart.contracts.tracker import Run, Tracker, numbers_of, plain, words_of
from headstart.errors import HeadstartError, UnknownNameError
from headstart.runtime.progress import Silent
from headstart.tracking.tracked import Tracked

ROW = {"steps": 3.0, "seconds": 0.5, "loss": 0.7, "score": 0.5, "validation_loss": 0.6}
RESULT: dict[str, Any] = {
    "arms": {"chosen": {"value": 0.9, "low": 0.8, "high": 1.0, "note": "ended by the budget"}},
    "gain": {"value": 0.1, "low": -0.1, "high": 0.3},
    "verdict": "no evidence",
    "strategy": "lp-ft",
    "backbone": "seeded:convnet",
    "metric": "accuracy",
    "out": "/models/birds",
}


@final
class Kept(Tracker):
    """Keeps what it is told, and fails when it is told to."""

    where = "memory"
    made: list[Kept] = []  # noqa: RUF012

    def __init__(self, run: Run) -> None:
        self.run = run
        self.rows: list[tuple[str, int, dict[str, float]]] = []
        self.results: list[tuple[Mapping[str, float], Mapping[str, str]]] = []
        self.ended: list[bool] = []
        self.broken = False

    @classmethod
    def begin(cls, run: Run) -> Tracker:
        cls.made.append(cls(run))
        return cls.made[-1]

    def row(self, training: str, step: int, numbers: Mapping[str, float]) -> None:
        if self.broken:
            raise OSError("the server is gone\nand more")
        self.rows.append((training, step, dict(numbers)))

    def result(self, numbers: Mapping[str, float], words: Mapping[str, str]) -> None:
        self.results.append((numbers, words))

    def end(self, failed: bool) -> None:
        self.ended.append(failed)


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> list[Kept]:
    """The runs of a tracker in memory, under the name of a real one."""
    monkeypatch.setitem(tracking.TRACKERS, "mlflow", f"{__name__}:Kept")
    monkeypatch.setattr(Kept, "made", [])
    return Kept.made


def tracked(progress: tiny.Recording | None = None) -> tuple[Tracked, Kept]:
    """A progress on a tracker in memory."""
    keeper = Kept(Run(Path("/models/birds"), {}, offline=True))
    return Tracked(progress or tiny.Recording(), "kept", lambda: keeper), keeper


def test_a_training_is_followed_row_by_row_as_it_goes() -> None:
    calls: list[int] = []
    keeper = Kept(Run(Path("/models/birds"), {}, offline=True))
    progress = tiny.Recording(lambda step: calls.append(len(keeper.rows)))
    follower = Tracked(progress, "kept", lambda: keeper)
    _, record = tiny.run(tiny.SessionOptions(progress=follower))
    assert [step for _, step, _ in keeper.rows] == [int(row["steps"]) for row in record.history]
    assert calls[0] == 1 and calls[-1] == len(record.history) - 1
    name, _, first = keeper.rows[0]
    assert name == "tiny" and "loss" not in first and first["score"] == record.history[0]["score"]
    assert keeper.rows[-1][2]["loss"] == record.history[-1]["loss"]


def test_a_resumed_training_is_written_from_its_beginning(tmp_path: Path) -> None:
    checkpoint = tmp_path / "one.checkpoint"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("headstart.training.loop.CHECKPOINT_EVERY", 0.0)
        with pytest.raises(tiny.Killed):
            tiny.run(
                tiny.SessionOptions(
                    progress=tiny.dies_at(2 * tiny.STEPS + 1), checkpoint=checkpoint
                )
            )
        follower, keeper = tracked()
        _, record = tiny.run(tiny.SessionOptions(progress=follower, checkpoint=checkpoint))
    assert [step for _, step, _ in keeper.rows] == [int(row["steps"]) for row in record.history]


def test_trainings_of_one_label_are_told_apart() -> None:
    follower, keeper = tracked()
    for steps in (0, 3, 6, 0, 3, 0, 0):
        follower.row("lora?rank=4", ROW | {"steps": float(steps)})
    names = [name for name, _, _ in keeper.rows]
    first = "lora_rank_4"
    assert names == [first] * 3 + [f"{first} 2"] * 2 + [f"{first} 3", f"{first} 4"]


def test_one_failure_is_one_warning_and_ends_the_following() -> None:
    progress = tiny.Recording()
    follower, keeper = tracked(progress)
    keeper.broken = True
    for _ in range(3):
        follower.row("tiny", ROW)
    follower.result(lambda: RESULT)
    follower.end(failed=False)
    assert progress.warned == ["kept can't track this run: the server is gone. It goes on without."]
    assert keeper.results == [] and keeper.ended == []


def test_a_tracker_that_can_not_begin_is_a_warning() -> None:
    progress = tiny.Recording()

    def begin() -> Tracker:
        raise HeadstartError("http://there is a server, and this run is offline")

    follower = Tracked(progress, "mlflow", begin)
    follower.row("tiny", ROW)
    assert len(progress.warned) == 1 and "is offline" in progress.warned[0]


def test_a_result_as_numbers_and_words() -> None:
    result = numbers_of(RESULT)
    assert result["arms/chosen/value"] == 0.9 and result["gain/low"] == -0.1
    assert "arms/chosen/note" not in result
    assert words_of(RESULT)["verdict"] == "no evidence"
    assert words_of(RESULT)["artifact"] == "/models/birds"
    assert numbers_of(RESULT | {"gain": None}).keys() == {
        f"arms/chosen/{name}" for name in ("value", "low", "high")
    }
    assert plain("wise-ft?share=0.5 (a)") == "wise-ft_share_0.5 _a_"


def fit(pictures: Path, out: Path, **more: Any) -> Any:
    """A short run on tiny pictures."""
    settings = hs.Settings(epochs=2, scratch=False, **more)
    return hs.fit(pictures, "seeded:convnet", out, strategy="lp-ft", settings=settings)


def test_fit_tells_what_was_asked_and_what_came_of_it(
    pictures: Path, tmp_path: Path, kept: list[Kept]
) -> None:
    result = fit(pictures, tmp_path / "birds", track="mlflow", offline=True)
    (run,) = kept
    assert run.run.name == "birds" and run.run.offline
    assert (
        run.run.arguments["backbone"] == "seeded:convnet"
        and run.run.arguments["strategy"] == "lp-ft"
    )
    settings = {field.name for field in fields(hs.Settings)} - {"track"}
    assert settings | {"data"} <= run.run.arguments.keys() and "track" not in run.run.arguments
    assert {name for name, _, _ in run.rows} == {"lp-ft"} and len(run.rows) == 3
    ((numbers, words),) = run.results
    assert numbers["arms/chosen/value"] == result.to_json()["arms"]["chosen"]["value"]
    assert words["artifact"] == str(tmp_path / "birds") and run.ended == [False]
    plan = json.loads((tmp_path / "birds" / "plan.json").read_text())
    assert plan["settings"]["track"] is None


def test_what_comes_of_a_run_does_not_depend_on_the_tracker(kept: list[Kept]) -> None:
    settings = hs.Settings(epochs=3, track="mlflow")
    with tracking.follow(settings, Silent(), Path("out"), {}) as run:
        assert run.settings == hs.Settings(epochs=3)
    options.demand_plan_alone(hs.Settings(track="mlflow"), None, None)
    with pytest.raises(HeadstartError, match="A plan says"):
        options.demand_plan_alone(settings, None, None)


@pytest.mark.slow
def test_a_plan_is_repeated_under_a_tracker(
    pictures: Path, tmp_path: Path, kept: list[Kept]
) -> None:
    fit(pictures, tmp_path / "one")
    hs.reproduce(tmp_path / "one", tmp_path / "two", track="mlflow")
    one, two = (json.loads((tmp_path / each / "plan.json").read_text()) for each in ("one", "two"))
    assert one == two and [len(each.results) for each in kept] == [1]


def test_a_run_that_fails_is_marked_as_failed(
    pictures: Path, tmp_path: Path, kept: list[Kept]
) -> None:
    with pytest.raises(HeadstartError):
        fit(pictures / "nowhere", tmp_path / "birds", track="mlflow")
    assert [each.ended for each in kept] == [[True]]
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("here")
    with pytest.raises(HeadstartError, match="not empty"):
        fit(pictures, tmp_path / "full", track="mlflow")
    assert len(kept) == 1


def test_names_and_extras_of_trackers() -> None:
    follower = tracking.follow(replace(hs.Settings(), track="mlfow"), Silent(), Path("out"), {})
    with pytest.raises(UnknownNameError, match="Did you mean 'mlflow'"), follower:
        pass
    assert {name: name for name in tracking.TRACKERS}.items() <= answers.EXTRAS.items()


def test_a_package_that_is_missing_is_named_before_any_work(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(tracking.TRACKERS, "wandb", f"{__name__}_of_nothing:Kept")
    missing = ModuleNotFoundError("No module named 'wandb'", name="wandb")

    def refuse(name: str) -> Any:
        raise missing

    monkeypatch.setattr(tracking, "import_module", refuse)
    out = tmp_path / "birds"
    command = ["fit", str(pictures), "-b", "seeded:convnet", "-o", str(out), "--track", "wandb"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 2 and "pip install 'headstart[wandb]'" in done.stderr
    assert not list(tmp_path.glob("*birds*"))


def test_only_what_trains_takes_the_flag() -> None:
    shown = {name: CliRunner().invoke(app, [name, "--help"]).output for name in ("fit", "rank")}
    assert "--track" in shown["fit"] and "--track" not in shown["rank"]


def follow_once(name: str, out: Path, progress: tiny.Recording) -> None:
    """A run of two rows and a result, by a real tracker."""
    settings = hs.Settings(track=name, offline=True)
    with tracking.follow(settings, progress, out, {"data": "birds/"}) as run:
        for steps in (0.0, 3.0):
            run.progress.row("lp-ft", ROW | {"steps": steps})
        run.result(lambda: RESULT)


def test_mlflow_keeps_a_run_in_its_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # its default is a database in the current folder
    for name in [name for name in os.environ if name.startswith("MLFLOW_")]:
        monkeypatch.delenv(name)
    progress = tiny.Recording()
    follow_once("mlflow", tmp_path / "birds", progress)
    assert progress.warned == [] and len(progress.said) == 1
    assert (tmp_path / "mlflow.db").is_file()

    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    experiment = client.get_experiment_by_name("headstart")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.run_name == "birds" and run.info.status == "FINISHED"
    assert run.data.params["data"] == "birds/" and run.data.params["seed"] == "0"
    assert run.data.metrics["arms/chosen/value"] == 0.9
    assert run.data.tags["verdict"] == "no evidence"
    assert run.data.tags["artifact"] == "/models/birds"
    curve = client.get_metric_history(run.info.run_id, "lp-ft/score")
    assert [(point.step, point.value) for point in curve] == [(0, 0.5), (3, 0.5)]

    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    follow_once("mlflow", tmp_path / "birds", progress)
    assert len(progress.warned) == 1 and "this run is offline" in progress.warned[0]


def test_tensorboard_keeps_a_run_in_files(tmp_path: Path) -> None:
    progress = tiny.Recording()
    follow_once("tensorboard", tmp_path / "birds", progress)
    assert progress.warned == []
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name.startswith("birds-") and str(folder) in progress.said[0]

    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder)).Reload()
    assert [(e.step, e.value) for e in events.Scalars("lp-ft/score")] == [(0, 0.5), (3, 0.5)]
    assert [e.step for e in events.Scalars("lp-ft/loss")] == [3]
    assert events.Scalars("gain/high")[0].value == pytest.approx(0.3)
    (request,), (result,) = (events.Tensors(f"{name}/text_summary") for name in ("asked", "result"))
    assert b"| data | birds/ |" in request.tensor_proto.string_val[0]
    assert b"| verdict | no evidence |" in result.tensor_proto.string_val[0]


@pytest.mark.slow
@pytest.mark.skipif(find_spec("wandb") is None, reason="needs wandb, which is large")
def test_wandb_keeps_a_run_in_files_while_offline(tmp_path: Path) -> None:
    progress = tiny.Recording()
    follow_once("wandb", tmp_path / "birds", progress)
    assert progress.warned == []
    (folder,) = (tmp_path / "wandb").glob("offline-run-*")
    (log,) = folder.glob("run-*.wandb")
    content = log.read_bytes()
    for word in (b"lp-ft/score", b"gain/high", b"no evidence", b"birds/"):
        assert word in content


@pytest.mark.slow
def test_a_run_is_followed_by_mlflow_from_the_command_line(
    fitted: Fitted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/runs.db")
    command = ["fit", str(fitted.pictures), "-b", "seeded:convnet", "-o", str(tmp_path / "birds")]
    done = CliRunner().invoke(app, [*command, "--epochs", "2", "--track", "mlflow", "--json"])
    assert done.exit_code == 0, done.stderr
    assert "Tracked by mlflow" in done.stderr and "warning" not in done.stderr

    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path}/runs.db")
    (run,) = client.search_runs(["1"])
    value = json.loads(done.stdout)["arms"]["chosen"]["value"]
    assert run.data.metrics["arms/chosen/value"] == pytest.approx(value)
    assert "scratch/score" in run.data.metrics
