"""Write what `headstart COMMAND --help` prints into docs/cli.md: `python docs/help_texts.py`."""

from __future__ import annotations

import re
from pathlib import Path

from typer.testing import CliRunner

from headstart.cli import app

PAGE = Path(__file__).with_name("cli.md")
_BLOCK = re.compile(r"<!-- help: ?(\S*) -->\n```text\n.*?```", re.DOTALL)


def current(page: str) -> str:
    """The page with each block under a `<!-- help: COMMAND -->` mark written anew."""
    return _BLOCK.sub(lambda found: _block(found[1]), page)


def commands(page: str) -> list[str]:
    """The commands that have a block, in order; the first is "" for the program itself."""
    return _BLOCK.findall(page)


def _block(command: str) -> str:
    arguments = [*command.split(), "--help"]
    plain = {"COLUMNS": "96", "NO_COLOR": "1", "TERM": "dumb"}
    text = CliRunner().invoke(app, arguments, prog_name="headstart", env=plain).output
    lines = "\n".join(line.rstrip() for line in text.strip().splitlines())
    mark = f"<!-- help: {command}".rstrip()
    return f"{mark} -->\n```text\n{lines}\n```"


if __name__ == "__main__":
    PAGE.write_text(current(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
