"""Names of 0.1.0 and of today: those of today exist, the earlier ones lead there or say so."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import warnings
from dataclasses import fields
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import headstart as hs
from headstart import catalog, contracts
from headstart.cli import COMMANDS, FLAGS, app, present
from headstart.contracts import Strategy
from headstart.defaults import Settings
from headstart.errors import HeadstartError
from headstart.plan import read

ROOT = Path(__file__).resolve().parents[1]
_RELEASE = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").partition("## [0.1.0]")[0]
PAIRS = dict(re.findall(r"^\| `([^`]+)` \| `([^`]+)` \|$", _RELEASE, re.M))
DOTTED = {old: new for old, new in PAIRS.items() if old.startswith("headstart.")}
HOOKS = {old: new for old, new in PAIRS.items() if old.startswith("Strategy.")}


def located(name: str) -> Any:
    """What a dotted name stands for. Raises LookupError where it stands for nothing."""
    try:
        return import_module(name)
    except ModuleNotFoundError:
        module, _, attribute = name.rpartition(".")
    try:
        return getattr(import_module(module), attribute)
    except (ModuleNotFoundError, AttributeError) as error:
        raise LookupError(name) from error


def commands() -> set[str]:
    """The names of the commands, as they are typed."""
    functions = (command.callback for command in app.registered_commands)
    return {function.__name__.replace("_", "-") for function in functions if function}


def test_the_list_holds_every_kind_of_name() -> None:
    assert {f"headstart {old}": f"headstart {new}" for old, new in COMMANDS.items()}.items() <= (
        PAIRS.items()
    )
    assert FLAGS.items() <= PAIRS.items()
    assert {f"hs.{old}": f"hs.{new}" for old, new in hs._RENAMED.items()}.items() <= PAIRS.items()
    assert {f"Strategy.{old}": f"Strategy.{new}" for old, new in catalog._HOOKS.items()} == HOOKS
    assert len(DOTTED) > 40


@pytest.mark.parametrize(("old", "new"), DOTTED.items())
def test_a_module_or_class_is_where_the_list_says(old: str, new: str) -> None:
    assert located(new) is not None
    with pytest.raises(LookupError):
        located(old)


def test_settings_and_hooks_of_today_exist() -> None:
    settings = {f"Settings.{field.name}" for field in fields(Settings)}
    assert {new for old, new in PAIRS.items() if old.startswith("Settings.")} <= settings
    assert all(callable(getattr(Strategy, new.partition(".")[2])) for new in HOOKS.values())
    assert not any(old.partition(".")[2] in vars(Strategy) for old in HOOKS)


@pytest.mark.parametrize(("old", "new"), COMMANDS.items())
def test_an_earlier_command_goes_on_with_a_note(old: str, new: str) -> None:
    assert new in commands() and old not in commands()
    ran = subprocess.run(
        [sys.executable, "-m", "headstart", old, "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"headstart {new}" in ran.stdout
    assert f"{old} is called {new} now." in ran.stderr


def test_earlier_flags_are_those_of_today(capsys: pytest.CaptureFixture[str]) -> None:
    line = ["fit", "photos", "--batch", "8", "--rate=0.1", "--epochs", "2"]
    assert present(line) == [
        *("fit", "photos", "--batch-size", "8", "--learning-rate=0.1", "--epochs", "2")
    ]
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "--batch is called --batch-size now.",
        "--rate is called --learning-rate now.",
    ]


@pytest.mark.parametrize(
    "line",
    [
        ["fit", "extract", "--batch-size", "8"],  # a folder of that name, and a flag of today
        ["predict", "model", "--", "--rate"],  # words after -- are no flags
        [],
    ],
)
def test_other_words_stay_as_they_are(line: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert present(line) == line
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("old", "new"), hs._RENAMED.items())
def test_an_earlier_function_is_that_of_today_with_a_note(old: str, new: str) -> None:
    with pytest.warns(DeprecationWarning, match=rf"headstart\.{old} is called {new} now"):
        function = getattr(hs, old)
    assert function is getattr(hs, new)
    assert old not in dir(hs)


def test_a_name_of_today_brings_no_note() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert callable(hs.reproduce)
    with pytest.raises(AttributeError, match="no attribute 'repeated'"):
        hs.repeated  # noqa: B018  # asking for it is the test


def earlier_plan(folder: Path, **settings: Any) -> Path:
    """A plan.json of 0.1.0 with these settings."""
    content = {
        "data": "photos",
        "backbone": "seeded:convnet",
        "weights": "0" * 64,
        "strategy": "last-stages",
        "settings": settings,
        "fingerprint": "0" * 64,
        "splits": {"train": ["a"], "validation": ["b"], "test": ["c"]},
        "versions": {"headstart": "0.1.0"},
        "format": 1,
    }
    folder.joinpath("plan.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def test_a_plan_of_before_is_read(tmp_path: Path) -> None:
    plan = read(earlier_plan(tmp_path, batch=12, rate=0.25, seed=3, budget=60.0, text=["a"]))
    assert plan.chosen() == Settings(batch_size=12, learning_rate=0.25, seed=3, text=("a",))


def test_a_setting_that_never_was_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HeadstartError, match=r"plan\.json can't be read as a plan .*pear"):
        read(earlier_plan(tmp_path, pear=1))


@pytest.mark.parametrize(("old", "new"), catalog._HOOKS.items())
def test_a_strategy_with_an_earlier_hook_is_refused(
    old: str, new: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def frozen_stages(self: Strategy, epoch: int, stages: int) -> int:
        return 0

    methods = {"frozen_stages": frozen_stages, old: lambda self, *arguments: None}
    monkeypatch.setattr(contracts, "Earlier", type("Earlier", (Strategy,), methods), raising=False)
    monkeypatch.setitem(catalog.STRATEGIES, "earlier", "headstart.contracts:Earlier")
    with pytest.raises(HeadstartError) as caught:
        catalog.strategy("earlier")
    assert str(caught.value) == (
        f"The strategy earlier defines {old}, which is not called. Rename it to {new}."
    )


def test_a_strategy_may_keep_a_setting_under_such_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Values called `rate` are settings: only what could be called is a hook."""

    def frozen_stages(self: Strategy, epoch: int, stages: int) -> int:
        return 0

    kind = type("Later", (Strategy,), {"frozen_stages": frozen_stages, "rate": 2.0})
    monkeypatch.setattr(contracts, "Later", kind, raising=False)
    monkeypatch.setitem(catalog.STRATEGIES, "later", "headstart.contracts:Later")
    assert isinstance(catalog.strategy("later"), Strategy)


def test_the_types_are_shipped() -> None:
    spec = find_spec("headstart")
    assert spec is not None and spec.origin is not None
    assert (Path(spec.origin).parent / "py.typed").is_file()
