"""What past runs found: kept, replaced, cut, shared by processes, and never in the way."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.transferability import history
from headstart.transferability.history import Past


def past(
    data: str = "d",
    backbone: str = "timm:a",
    score: float = 0.5,
    when: float = 1.0,
    task: str = "t",
) -> Past:
    return Past(data, task, "accuracy", backbone, f"hash of {backbone}", score, when)


def test_nothing_is_remembered_before_anything_was(own_cache: Path) -> None:
    assert list(history.recall()) == []
    history.forget()
    history.remember([])
    assert not own_cache.exists()


def test_records_come_back_oldest_first() -> None:
    first, second = past(backbone="timm:b"), past(backbone="hf:ä \ud800\n", score=1, when=2)
    history.remember([first])
    history.remember([second])
    assert list(history.recall()) == [first, second]
    history.forget()
    assert list(history.recall()) == []


def test_a_repeated_run_replaces_the_same_backbone_on_the_same_data() -> None:
    history.remember([past(), past(backbone="timm:b"), past(data="e"), past(task="other")])
    again = past(score=0.9, when=5.0)
    history.remember([again])
    items = list(history.recall())
    assert items == [past(backbone="timm:b"), past(data="e"), past(task="other"), again]


def test_only_the_newest_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MOST", 3)
    history.remember([past(data=str(number)) for number in range(5)])
    history.remember([past(data="2")])
    assert [record.data for record in history.recall()] == ["3", "4", "2"]


def test_scores_that_are_no_numbers_are_left_out() -> None:
    history.remember([past(score=float("nan")), past(data="e", score=float("inf")), past(data="f")])
    assert list(history.recall()) == [past(data="f")]


DAMAGED = [
    b"",
    b"\xff\x00\n{",
    b"[]\n3\nnull\n",
    b'{"data": "d"}\n',
    b"[" * 100_000,
    b'{"data": 1, "task": "", "metric": "", "backbone": "", "weights": "", "score": 1, "when": 1}',
    b'{"data":"","task":"","metric":"","backbone":"","weights":"","score":NaN,"when":1}',
    b'{"data":"","task":"","metric":"","backbone":"","weights":"","score":1,"when":1' + b"0" * 400,
    b'{"data":"","task":"","metric":"","backbone":"","weights":"","score":true,"when":1}',
]


@pytest.mark.parametrize("content", DAMAGED, ids=range(len(DAMAGED)))
def test_what_is_damaged_is_passed_over_and_replaced(content: bytes) -> None:
    history.remember([past()])
    whole = history.file().read_bytes()
    history.file().write_bytes(content + b"\n" + whole)
    assert list(history.recall()) == [past()]
    history.remember([past(data="e")])
    assert history.file().read_bytes().count(b"\n") == 2
    assert list(history.recall()) == [past(), past(data="e")]


@given(content=st.binary(max_size=300))
def test_any_content_is_answered(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADSTART_CACHE", str(tmp_path_factory.mktemp("cache")))
        history.file().write_bytes(content)
        history.remember([past()])
        assert list(history.recall())[-1] == past()


def test_a_folder_that_cannot_be_written_is_no_error(own_cache: Path) -> None:
    own_cache.write_text("a file where the folder should be")
    history.remember([past()])
    assert list(history.recall()) == []
    history.forget()
    own_cache.unlink()
    history.file().mkdir(parents=True)  # a folder where the file should be
    history.remember([past()])
    assert list(history.recall()) == []
    history.forget()


WRITING = """
from headstart.transferability import history

for number in range(20):
    history.remember([history.Past(f"its {number}", "t", "accuracy", "timm:a", "w", 0.5, 1.0)])
"""


def test_several_processes_lose_nothing() -> None:
    other = subprocess.Popen([sys.executable, "-c", WRITING], stderr=subprocess.PIPE)
    ours = 0
    while other.poll() is None:
        history.remember([past(data=f"ours {ours % 50}")])
        ours += 1
    _, complaint = other.communicate()
    assert other.returncode == 0, complaint.decode()
    assert {record.data for record in history.recall()} == {
        *(f"its {number}" for number in range(20)),
        *(f"ours {number}" for number in range(min(ours, 50))),
    }
