"""Flags and commands that messages and pages of Headstart name: they exist, where they are said."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from headstart.cli import FLAGS, app

PACKAGE = Path(__file__).resolve().parents[1] / "headstart"
FLAG = re.compile(r"(?<![\w(-])(--[a-z][a-z-]*[a-z]|-[a-z](?= ))(?!\s*:)(?![\w(-])")
OTHERS = {
    "tensorboard": {"--logdir"},
    "python": {"-m"},
    "sha256sum": {"-c"},
    "iconv": {"-f", "-t"},
    "sqlite3": {"-header", "-csv"},
    "gzip": {"-dk"},
    "po2tmx": {"-l"},
    "ffmpeg": {"-i", "-vf"},
    "curl": {"--data-binary"},
}  # another program's flags, in text that names the program


def options(command: Any) -> set[str]:
    """A command's flags, with those that say no."""
    return {
        flag
        for parameter in command.params
        for flag in (*parameter.opts, *parameter.secondary_opts)
        if flag.startswith("-")
    }


PROGRAM: Any = typer.main.get_command(app)
COMMANDS: dict[str, set[str]] = {n: options(command) for n, command in PROGRAM.commands.items()}
EVERY = set().union(*COMMANDS.values()) | options(PROGRAM) | {"--help", "-h"} | set(FLAGS)


def texts(path: Path) -> Iterator[str]:
    """The text in a file: in Python the strings, those with values in them as one."""
    if path.suffix != ".py":
        yield path.read_text(encoding="utf-8")
        return
    tree = ast.parse(path.read_text(encoding="utf-8"))
    parts: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts |= {id(part) for part in node.values}
            yield "".join(
                str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if id(node) not in parts:
                yield node.value


def wrong(text: str) -> list[str]:
    """What a text names that is not there."""
    results = []
    foreign = {flag for program, flags in OTHERS.items() if program in text for flag in flags}
    for match in FLAG.finditer(text):
        if match[1] not in EVERY | foreign:
            results.append(f"{match[1]} is no flag")
    for name, flag in re.findall(r"\b([a-z]+)`?(?: [^-.`\s]+)* (--?[a-z][a-z-]*)\b", text):
        if (
            name in COMMANDS
            and (name != "label" or "headstart label" in text)
            and FLAG.match(f"{flag} ")
            and flag not in COMMANDS[name]
        ):
            results.append(f"{name} has no {flag}")
    for name in re.findall(r"`headstart ([a-z-]+)", text):
        if name not in COMMANDS:
            results.append(f"headstart has no {name}")
    return results


FILES = [path for path in sorted(PACKAGE.rglob("*")) if path.suffix in (".py", ".md", ".html")]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_flags_and_commands_in_messages_exist(path: Path) -> None:
    assert [fault for text in texts(path) for fault in wrong(text)] == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("Run `fit --download` first.", ""),
        ("Run `strategies --download` first.", "strategies has no --download"),
        ("Give it with --labelling.", "--labelling is no flag"),
        ("See `headstart rankings`.", "headstart has no rankings"),
        ("Use -q 3 instead.", "-q is no flag"),
        ("Follow it with `tensorboard --logdir runs`.", ""),
    ],
)
def test_a_wrong_flag_is_seen(text: str, fault: str) -> None:
    assert wrong(text) == ([fault] if fault else [])
