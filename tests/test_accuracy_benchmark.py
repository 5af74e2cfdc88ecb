"""Accuracy in so many minutes: who is compared, what is kept, and what the table says."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import environments, registry
from benchmarks.__main__ import main
from benchmarks.accuracy import running, table
from benchmarks.accuracy.tasks import CONTENDERS, TASKS
from benchmarks.registry import OURS

SCRIPTS = Path(running.__file__).parent / "peers"


def test_twelve_tasks_and_their_contenders() -> None:
    assert len(TASKS) == 12
    assert {task.modality for task in TASKS.values()} == {"image", "text"}
    assert next(iter(CONTENDERS)) == OURS
    scripts = {each.script for each in CONTENDERS.values() if each.script}
    assert scripts == {path.name for path in SCRIPTS.glob("*.py")} - {"timed.py"}
    for each in CONTENDERS.values():
        assert each.environment in {*registry.ENVIRONMENTS, ""}


@pytest.mark.parametrize("name", [each.script for each in CONTENDERS.values() if each.script])
def test_scripts_answer_help_without_their_libraries(name: str) -> None:
    command = [sys.executable, "-S", str(SCRIPTS / name), "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "--until" in done.stdout
    tree = ast.parse((SCRIPTS / name).read_text())
    assert ast.get_docstring(tree)


def plan(tmp_path: Path, **given: Any) -> running.Plan:
    whole = running.Plan(
        tasks=["digits"],
        minutes=[1.0],
        seeds=2,
        who=[OURS, "fastai"],
        data=tmp_path / "data",
        work=tmp_path / "work",
    )
    return replace(whole, **given)


def test_cells_are_those_that_a_contender_takes(tmp_path: Path) -> None:
    cells = plan(tmp_path, tasks=["digits", "subj"], minutes=[1.0, 3.0]).cells()
    assert len(cells) == 2 * 2 * 3  # fastai takes pictures alone
    assert cells[0] == {"task": "digits", "minutes": 1.0, "seed": 0, "who": OURS}
    assert {cell["who"] for cell in cells if cell["task"] == "subj"} == {OURS}


def test_a_contender_without_environment_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(name: str) -> Path:
        raise environments.BrokenEnvironmentError(f"{name} can't be made: no such package")

    monkeypatch.setattr(environments, "make", broken)
    assert running.run(plan(tmp_path, who=["fastai"])) == []
    assert "peers can't be made" in capsys.readouterr().err


def test_a_process_is_killed_with_its_children_at_the_limit(tmp_path: Path) -> None:
    child = "import time; time.sleep(60)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    began = time.monotonic()
    with (tmp_path / "log").open("w") as log:
        assert running._ended([sys.executable, "-c", parent], 1.0, log, os.environ) is None
        assert running._ended([sys.executable, "-c", "import sys; sys.exit(3)"], 60, log, {}) == 3
    assert time.monotonic() - began < 50


def row(who: str, accuracy: float | None, seed: int = 0, task: str = "digits") -> dict[str, Any]:
    cell = {"task": task, "minutes": 1.0, "seed": seed, "who": who}
    return cell | (
        {"error": "no end"} if accuracy is None else {"accuracy": accuracy, "items": 400}
    )


def test_the_table_counts_who_is_level_with_the_first() -> None:
    rows = [row(OURS, 0.90), row("hf", 0.91), row("sklearn", 0.80), row("fastai", None)]
    rows += [row(OURS, 0.90, task="mnist"), row("hf", 0.70, task="mnist")]
    report = table.as_markdown(rows, [OURS, "hf", "sklearn", "fastai"])
    assert "| 1 | digits | 0.900 | 0.910 | 0.800 | missing | hf 0.880 – 0.938 |" in report
    counts = "headstart 2 of 2, hf 1 of 2, sklearn 0 of 1, fastai 0 of 1"
    assert report.endswith(f"First, or within the interval of the first, at 1 min: {counts}.")


def test_a_contender_that_misses_one_seed_is_missing() -> None:
    assert table.value([row("hf", 0.9), row("hf", 0.8, seed=1)]) == pytest.approx(0.85)
    assert table.value([row("hf", 0.9), row("hf", None, seed=1)]) is None


def test_unknown_names_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("benchmarks.commands.SHARED", tmp_path)
    for words in (["--tasks", "chess"], ["--peers", "nobody"]):
        monkeypatch.setattr("sys.argv", ["benchmarks", "accuracy", *words])
        assert main() == 2
    assert "chess" in (err := capsys.readouterr().err) and "nobody" in err


def test_the_true_labels_stand_in_the_order_of_answers(tmp_path: Path) -> None:
    for label, name in (("bees", "0.jpg"), ("ants", "9.jpg")):
        (tmp_path / "test" / label).mkdir(parents=True)
        (tmp_path / "test" / label / name).write_bytes(b"")
    assert running.true_labels(tmp_path, False) == ["ants", "bees"]
    (tmp_path / "test.csv").write_text("text,label\nb,2\na,1\n")
    assert running.true_labels(tmp_path, True) == ["2", "1"]
