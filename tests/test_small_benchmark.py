"""The benchmark of small sets: what it forgets between rows, counts and shows."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from benchmarks import commands, speed
from benchmarks.__main__ import main
from benchmarks.measuring import spent
from benchmarks.small import SETTINGS, as_markdown, forget


def test_what_belongs_to_data_is_forgotten_and_what_belongs_to_a_backbone_stays(
    tmp_path: Path,
) -> None:
    for name in ("features/abc", "checks/def", "known", "engines/ghi"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "engines.json").write_text("{}")
    (tmp_path / "history.jsonl").write_text("")
    forget(tmp_path)
    forget(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["engines", "engines.json", "known"]


def test_computing_counts_and_waiting_does_not(tmp_path: Path) -> None:
    busy = "import time\nwhile time.process_time() < 0.6: pass"
    idle = "import time; time.sleep(0.6)"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {busy!r}])"
    worked = spent(["-c", code], tmp_path / "log.txt")  # a child of the process
    waited = spent(["-c", idle], tmp_path / "log.txt")
    assert worked["cpu"] >= 0.6
    assert waited["wall"] >= 0.6 > waited["cpu"]


def test_the_table_names_every_number() -> None:
    row = {"setting": SETTINGS["seen"], "who": "headstart", "cpu": 3.5, "of plain": 0.15}
    table = as_markdown([row | {"wall": 2.0, "MiB": 90.5, "accuracy": 0.9}]).splitlines()
    assert table[-1] == f"| {SETTINGS['seen']} | headstart | 3.5 | 0.15 | 2.0 | 90.5 | 0.9 |"
    assert len({line.count("|") for line in table}) == 1


@pytest.mark.parametrize("command, owner", [("small", commands), ("seen", speed)])
def test_without_the_data_it_is_refused(
    command: str,
    owner: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(owner, "SHARED", tmp_path / "nowhere")
    monkeypatch.setattr(sys, "argv", ["benchmarks", command])
    assert main() == 2
    assert "nowhere is not there" in capsys.readouterr().err
