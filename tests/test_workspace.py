"""The workspace: one run at a time, checkpoints kept, the model put in place whole."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from headstart.errors import HeadstartError
from headstart.runtime import workspace as workspaces
from headstart.runtime.places import demand_path
from headstart.runtime.workspace import Workspace

RUN = {"data": "abc", "settings": {"seed": 0, "rate": None}}


def leave_checkpoint(out: Path) -> None:
    """Do as a killed run does: claim the place, write a checkpoint, end."""
    with Workspace(out) as workspace:
        workspace.claim(RUN)
        (workspace.folder / "chosen.checkpoint").write_bytes(b"half a training")


def names(folder: Path) -> list[str]:
    """What lies in a folder, hidden files too."""
    return sorted(os.listdir(folder))


def test_the_model_appears_whole_and_the_rest_is_gone(tmp_path: Path) -> None:
    out = tmp_path / "new" / "parents" / "birds"
    with Workspace(out) as workspace:
        workspace.claim(RUN)
        draft = workspace.draft()
        (draft / "weights").write_text("all of them")
        assert not out.exists()
        assert workspace.publish() == out
    assert names(out.parent) == ["birds"]
    assert (out / "weights").read_text() == "all of them"


def test_an_empty_folder_may_be_the_place(tmp_path: Path) -> None:
    (tmp_path / "birds").mkdir()
    with Workspace(tmp_path / "birds") as workspace:
        (workspace.draft() / "weights").touch()
        workspace.publish()
    assert names(tmp_path / "birds") == ["weights"]


def test_a_new_draft_forgets_the_torn_one(tmp_path: Path) -> None:
    with Workspace(tmp_path / "birds") as workspace:
        (workspace.draft() / "torn").touch()
        assert names(workspace.draft()) == []


@pytest.mark.parametrize(
    ("answer", "words"),
    [("headstart.json", "already holds a model"), ("notes.txt", "is not empty")],
)
def test_a_taken_place_is_refused_and_left_alone(tmp_path: Path, answer: str, words: str) -> None:
    out = tmp_path / "birds"
    out.mkdir()
    (out / answer).write_text("mine")
    with pytest.raises(HeadstartError, match=words), Workspace(out):
        pass
    assert names(tmp_path) == ["birds"]
    assert (out / answer).read_text() == "mine"


def test_a_file_is_no_place(tmp_path: Path) -> None:
    (tmp_path / "birds").write_text("mine")
    with pytest.raises(HeadstartError, match="is not empty"), Workspace(tmp_path / "birds"):
        pass
    with pytest.raises(HeadstartError, match="can't be made"), Workspace(tmp_path / "birds" / "x"):
        pass
    assert names(tmp_path) == ["birds"]


def test_one_run_at_a_time(tmp_path: Path) -> None:
    out = tmp_path / "birds"
    with Workspace(out) as first:
        first.claim(RUN)
        with pytest.raises(HeadstartError, match="is being written by another run"), Workspace(out):
            pass
        assert names(first.folder) == ["run.json"]
    with Workspace(out) as second:
        assert not second.claim(RUN)
    assert names(tmp_path) == []


def test_a_model_that_another_run_just_finished_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other run ends between this one's look at the place and its lock."""
    out = tmp_path / "birds"
    late = Workspace(out)
    mkdir = Path.mkdir

    def other_run_ends(self: Path, *given: Any, **named: Any) -> None:
        monkeypatch.setattr(Path, "mkdir", mkdir)
        with Workspace(out) as other:
            (other.draft() / "headstart.json").write_text("{}")
            other.publish()
        mkdir(self, *given, **named)

    monkeypatch.setattr(Path, "mkdir", other_run_ends)
    with pytest.raises(HeadstartError, match="already holds a model"), late:
        pass
    assert names(tmp_path) == ["birds"]
    assert names(out) == ["headstart.json"]


def test_a_killed_process_leaves_no_lock_behind(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from headstart.runtime.workspace import Workspace\n"
        "Workspace(Path(sys.argv[1])).__enter__().claim({'data': 'x'})\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    root = Path(__file__).resolve().parents[1]
    out = tmp_path / "birds"
    ended = subprocess.run([sys.executable, "-c", code, str(out)], cwd=root, check=False)
    assert ended.returncode == -9
    assert names(tmp_path) == [".birds.lock", "birds.unfinished"]
    with Workspace(out):
        pass
    assert names(tmp_path) == []


def test_the_same_run_finds_its_checkpoints(tmp_path: Path) -> None:
    out = tmp_path / "birds"
    leave_checkpoint(out)
    assert names(tmp_path) == ["birds.unfinished"]
    with Workspace(out) as workspace:
        assert workspace.claim(RUN)
        assert names(workspace.folder) == ["chosen.checkpoint", "run.json"]


@pytest.mark.parametrize("torn", [False, True])
def test_another_run_starts_afresh(tmp_path: Path, torn: bool) -> None:
    out = tmp_path / "birds"
    leave_checkpoint(out)
    other = RUN if torn else {**RUN, "data": "other"}
    record = tmp_path / "birds.unfinished" / "run.json"
    if torn:
        record.write_text(record.read_text()[:20])
    with Workspace(out) as workspace:
        workspace.draft()
        assert not workspace.claim(other)
        assert names(workspace.folder) == ["run.json"]


def test_an_error_keeps_checkpoints_and_nothing_else(tmp_path: Path) -> None:
    out = tmp_path / "birds"
    with pytest.raises(RuntimeError), Workspace(out) as workspace:
        workspace.claim(RUN)
        raise RuntimeError
    assert names(tmp_path) == []
    leave_checkpoint(out)
    with pytest.raises(RuntimeError), Workspace(out) as workspace:
        raise RuntimeError
    assert names(tmp_path / "birds.unfinished") == ["chosen.checkpoint", "run.json"]


def hand_over(workspace: Workspace, text: str, **more: str) -> None:
    """Draft a model whose record holds this text, and put it in place."""
    draft = workspace.draft()
    for name, content in {"headstart.json": text, **more}.items():
        (draft / name).write_text(content)
    workspace.hand_over()


def test_a_model_is_handed_over_and_replaced_by_a_better_one(tmp_path: Path) -> None:
    out = tmp_path / "birds"
    with Workspace(out) as workspace:
        workspace.claim(RUN)
        hand_over(workspace, "first", own="1")
        assert workspace.handed_over and names(out) == ["headstart.json", "own"]
        (out / "answers.csv").write_text("mine")
        hand_over(workspace, "second")
        assert names(out) == ["answers.csv", "headstart.json"]
        assert (out / "headstart.json").read_text() == "second"
        (workspace.draft() / "evidence.json").write_text("more")
        workspace.renew()
        assert (out / "evidence.json").read_text() == "more"
        workspace.end()
    assert names(tmp_path) == ["birds"]
    assert names(out) == ["answers.csv", "evidence.json", "headstart.json"]


def test_a_run_that_handed_over_a_model_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "birds"
    with Workspace(out) as workspace:
        workspace.claim(RUN)
        hand_over(workspace, "first")
    with Workspace(out) as workspace:
        assert workspace.claim(RUN)
        assert workspace.handed_over
    with (
        pytest.raises(HeadstartError, match="headstart prove"),
        Workspace(out) as workspace,
    ):
        workspace.claim({**RUN, "data": "other"})
    (out / "headstart.json").write_text("that of somebody else")
    with pytest.raises(HeadstartError, match="already holds a model"), Workspace(out):
        pass


@pytest.mark.parametrize("at_once", [True, False])
def test_folders_change_places(
    tmp_path: Path, at_once: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not at_once:
        monkeypatch.setattr(sys, "platform", "some other")
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    workspaces._exchange(tmp_path / "one", tmp_path / "other")
    assert names(tmp_path) == ["one", "other"]
    assert (tmp_path / "one" / "file").read_text() == "other"
    assert (tmp_path / "other" / "file").read_text() == "one"


def test_a_proof_keeps_checkpoints_of_the_same_data_alone(tmp_path: Path) -> None:
    out = tmp_path / "birds"
    with pytest.raises(HeadstartError, match="is not a saved model"), Workspace(out, proves=True):
        pass
    out.mkdir()
    (out / "headstart.json").write_text("{}")
    for data, checkpoints in (("same", 0), ("same", 1), ("other", 0), ("other", 1)):
        with Workspace(out, proves=True) as workspace:
            workspace.claim_proof({"data": data})
            assert len(list(workspace.folder.glob("*.checkpoint"))) == checkpoints
            (workspace.folder / "scratch.checkpoint").touch()
    assert names(out) == ["headstart.json"]


def test_nothing_is_written_to_an_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for place in ("s3://bucket/model", Path("gs://bucket/model")):
        with pytest.raises(HeadstartError, match="is an address, and nothing is written to one"):
            Workspace(Path(place))
        with pytest.raises(HeadstartError, match="is an address"):
            demand_path(place)
    demand_path("C:/model")
    assert not [*tmp_path.iterdir()]
