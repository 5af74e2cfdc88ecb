"""The command line: what it prints where, and its exit codes."""

from __future__ import annotations

import errno
import json
import os
import re
import resource
import signal
import subprocess
import sys
import tomllib
from contextlib import suppress
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import typer
from conftest import write_pictures
from huggingface_hub import constants
from typer.testing import CliRunner

from headstart import catalog
from headstart.cli import answers, app, options
from headstart.defaults import Settings
from headstart.errors import DataError
from headstart.runtime.progress import Progress

ROOT = Path(__file__).resolve().parents[1]
TINY = "seeded:convnet"


@dataclass(frozen=True)
class Said:
    """A small answer."""

    text: str

    def to_json(self) -> dict[str, Any]:
        return {"said": self.text}

    def __str__(self) -> str:
        return self.text


def run(*arguments: str) -> Any:
    """Run the command line in this process."""
    return CliRunner().invoke(app, list(arguments))


def shell(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    command = [sys.executable, "-m", "headstart", *arguments]
    settings: dict[str, Any] = {"cwd": ROOT, "text": True, "stderr": subprocess.PIPE}
    return subprocess.run(
        command, **(settings | {"stdout": subprocess.PIPE} | options), check=False
    )


def test_help_answers_at_once() -> None:
    picks = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert shell("--help").returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        picks.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(picks) < 0.5  # seconds of this process alone, however busy the machine


def test_every_setting_is_a_flag_of_fit_and_pretrain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert set(options.HELP) == {field.name for field in fields(Settings)}
    for command in ("fit", "pretrain"):
        text = run(command, "--help").output
        for field in fields(Settings):
            shown = options.flag_of(field.name) in text
            assert shown == (field.name not in options.LEFT_OUT.get(command, ()))
    assert "--no-scratch" in text


def test_listings_print_one_json_object() -> None:
    done = shell("strategies", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["strategies"].keys() == catalog.STRATEGIES.keys()
    backbones = json.loads(run("backbones", "seeded:*", "--json").stdout)["backbones"]
    assert backbones and all(card["reference"].startswith("seeded:") for card in backbones)
    assert (
        len(json.loads(run("backbones", "seeded:*", "--limit", "1", "--json").stdout)["backbones"])
        == 1
    )


def test_listings_print_whole_lines_where_nobody_can_widen_them() -> None:
    lines = run("backbones", "seeded:*").stdout.splitlines()
    backbones = json.loads(run("backbones", "seeded:*", "--json").stdout)["backbones"]
    assert [line.split()[0] for line in lines[1:]] == [card["reference"] for card in backbones]


def test_backbones_tell_what_accuracy_is_published() -> None:
    title, *lines = run("backbones", "timm:mobilenetv2_0*").stdout.splitlines()
    assert "ImageNet top-1" in title
    assert sorted("65.9 %" in line for line in lines) == [False, False, True]
    backbones = json.loads(run("backbones", "timm:mobilenetv2_0*", "--json").stdout)["backbones"]
    assert {(card["accuracy"], card["year"]) for card in backbones} == {(None, 2018), (65.9, 2018)}


def test_doctor_tells_what_is_here() -> None:
    facts = json.loads(run("doctor", "--json").stdout)
    assert facts["cores"] >= 1
    assert facts["memory"] >= facts["memory_free"] > 0
    assert facts["cache"] == os.environ["HEADSTART_CACHE"]
    assert facts["weights_at_hand"] <= facts["backbones"]


def test_fit_evaluate_predict(tmp_path: Path, pictures: Path) -> None:
    out = tmp_path / "model"
    done = run(*["fit", str(pictures), "-b", TINY, "-o", str(out), "--no-scratch", "--json"])
    assert done.exit_code == 0, done.stderr
    record = json.loads(done.stdout)
    assert {"metric", "arms", "gain", "verdict", "strategy", "backbone", "data"} <= record.keys()
    assert record["verdict"] == "unknown"

    scored = json.loads(run("evaluate", str(out), str(pictures), "--json").stdout)
    assert 0 <= scored["score"]["value"] <= 1

    content = json.loads(run("predict", str(out), str(pictures / "ants"), "--json").stdout)
    assert len(content["predictions"]) == 40
    assert {"path", "label", "probability"} <= content["predictions"][0].keys()
    lines = run("predict", str(out), str(pictures / "ants")).stdout.splitlines()
    assert len(lines) == 41

    again = run(*["fit", str(pictures), "-b", TINY, "-o", str(out)])
    assert (again.exit_code, again.stderr.count("error: ")) == (2, 1)


@pytest.mark.parametrize(
    "arguments",
    [
        ["fit", "{pictures}", "-b", "timn:resnet50", "-o", "{new}"],
        ["fit", "{pictures}", "-b", "timm:resnet5O", "-o", "{new}", "--offline"],
        ["fit", "{pictures}", "-b", "no reference", "-o", "{new}"],
        ["fit", "{pictures}", "-b", TINY, "-o", "{new}", "--budget", "soon"],
        ["fit", "{pictures}", "-b", TINY, "-o", "{new}", "-s", "last-stage"],
        ["fit", "{pictures}", "-b", TINY, "-o", "{new}", "-s", "last-stages?cuont=1"],
        ["fit", "{pictures}", "-b", TINY, "-o", "{new}", "--device", "abacus"],
        ["fit", "{pictures}", "-b", TINY, "-o", "{new}", "--precision", "int1"],
        ["fit", "{pictures}/ants", "-b", TINY, "-o", "{new}"],
        ["fit", "{empty}", "-b", TINY, "-o", "{new}"],
        ["fit", "{new}/nowhere", "-b", TINY, "-o", "{new}"],
        ["evaluate", "{empty}", "{pictures}"],
        ["predict", "{new}", "{pictures}"],
        ["demo", "digit"],
        ["backbones", "none-such"],
    ],
)
def test_a_mistake_gets_one_sentence(
    arguments: list[str], tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # and restored after --offline
    (tmp_path / "empty").mkdir()
    places = {"pictures": pictures, "new": tmp_path / "new", "empty": tmp_path / "empty"}
    done = run(*[argument.format(**places) for argument in arguments], "--json")
    message = done.stderr.splitlines()[-1]
    assert done.exit_code == 2
    assert message.startswith("error: ") and message.endswith((".", "?"))
    assert json.loads(done.stdout) == {"error": message.removeprefix("error: ")}
    assert "Traceback" not in done.stderr


def test_a_wrong_flag_is_a_mistake() -> None:
    done = shell("fit", "--no-such-flag")
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr


def test_offline_is_set_before_the_flow_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    run("fit", "nowhere", "-b", TINY, "-o", "nowhere", "--offline")
    assert os.environ["HF_HUB_OFFLINE"] == "1"


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (DataError("x.jpg holds no picture. Remove it."), 2, "x.jpg holds no picture. Remove it."),
        (OSError(errno.ENOSPC, "No space left on device", "/full/a"), 2, "full at /full/a."),
        (RuntimeError("I/O error: No space left on device (os error 28)"), 2, "The disk is full."),
        (
            PermissionError(errno.EACCES, "Permission denied", "/root/a"),
            2,
            "forbids this at /root/a",
        ),
        (OSError(errno.EROFS, "Read-only file system", "/rom/a"), 2, "forbids this at /rom/a"),
        (OSError(errno.EFBIG, "File too large", "/stick/a"), 2, "at /stick/a: File too large"),
        (KeyboardInterrupt(), 130, "Stopped."),
        (BrokenPipeError(), 141, ""),
        (KeyError("a"), 1, "KeyError: 'a'. This is a defect of Headstart"),
        (FileNotFoundError(errno.ENOENT, "No such file", "own.json"), 1, "defect of Headstart"),
        (
            ModuleNotFoundError("No module named 'peft'", name="peft"),
            2,
            "peft, which is not installed. Run: pip install 'headstart[lora]'",
        ),
    ],
)
def test_kinds_of_failure(error: BaseException, code: int, words: str) -> None:
    result, message = answers.failure(error)
    assert result == code
    assert words in message


def fail_inside(progress: Progress) -> Said:
    """A defect."""
    raise KeyError("a")


@pytest.mark.parametrize("expected", [False, True])
def test_a_traceback_is_shown_on_request(
    expected: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HEADSTART_TRACEBACK", "1" if expected else "")
    with pytest.raises(typer.Exit) as ended:
        answers.answer(True, fail_inside)
    output = capsys.readouterr()
    assert ended.value.exit_code == 1
    assert ("fail_inside" in output.err) == expected
    assert json.loads(output.out)["error"].startswith("KeyError")


def test_what_libraries_print_stays_off_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    def chatty(progress: Progress) -> Said:
        print("a library says hello")
        progress.warn("mind this")
        return Said("done")

    answers.answer(True, chatty)
    output = capsys.readouterr()
    assert json.loads(output.out) == {"said": "done"}
    assert "a library says hello" in output.err
    assert "warning: mind this" in output.err


def test_a_reader_that_leaves_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = shell("strategies", stdout=writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", [["strategies"], ["strategies", "--json"]])
def test_a_full_disk_is_told(arguments: list[str]) -> None:
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = shell(*arguments, stdout=full)
    assert done.returncode == 2
    assert done.stderr == "error: The disk is full. Free some space and run the command again.\n"


def test_an_interrupt_ends_with_130(tmp_path: Path) -> None:
    pictures = write_pictures(tmp_path / "many", {"ants": 150, "bees": 150})
    command = ["fit", str(pictures), "-b", TINY, "-o", str(tmp_path / "new"), "--epochs", "5000"]
    process = subprocess.Popen(
        [sys.executable, "-m", "headstart", *command, "--json"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # a shell that runs the tests in the background has them ignore interrupts
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stderr is not None
    first = process.stderr.read(1)
    for _ in range(12):  # a library that is just being imported may swallow one
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            out, err = process.communicate(timeout=10)
            break
    process.kill()
    assert first and process.returncode == 130
    assert json.loads(out) == {"error": "Stopped."}
    assert b"Traceback" not in err


def test_every_extra_that_is_offered_exists() -> None:
    offered = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for package, extra in answers.EXTRAS.items():
        expected = offered["optional-dependencies"][extra]
        name = package.replace("_", "-")
        assert any(re.match(rf"{name}\b", requirement) for requirement in expected)


def test_what_fit_is_told_to_fetch_is_looked_at(
    tmp_path: Path, pictures: Path, no_network: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))  # nothing is at hand
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # and restored after --offline
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)  # as in a process that begins with it
    away = ["fit", str(pictures), "-b", "timm:mobilenetv3_small_050*", "-o", str(tmp_path / "new")]
    plain = run(*away, "--offline")
    assert plain.exit_code == 2 and "let them be fetched with --download" in plain.stderr
    fetched = run(*away, "--offline", "--download")
    assert fetched.exit_code == 2 and "None of 1 backbones can be used here" in fetched.stderr


def test_a_file_of_texts_that_is_not_there_is_no_text_to_translate(tmp_path: Path) -> None:
    (tmp_path / "headstart.json").write_text("{}")
    ended = run("translate", str(tmp_path), str(tmp_path / "gone.txt"))
    assert ended.exit_code == 2 and "gone.txt does not exist" in ended.stderr
