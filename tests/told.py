"""Command lines run in this process, or several in another one, and how they ended."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from typer.testing import CliRunner

from headstart.cli import app

ROOT = Path(__file__).resolve().parents[1]
# Runs several command lines in one process, as importing torch anew for each would take seconds.
SEVERAL = """
import json, sys
from typer.testing import CliRunner
from headstart.cli import app
ended = [
    CliRunner().invoke(app, line, env={"HEADSTART_CACHE": cache})
    for cache, *line in json.loads(sys.argv[1])
]
print(json.dumps([[each.exit_code, each.stdout, each.stderr] for each in ended]))
"""


@dataclass(frozen=True)
class Ended:
    """How a command line ended."""

    exit_code: int
    stdout: str
    stderr: str

    def sentence(self) -> str:
        """The one sentence of a user's mistake."""
        lines = self.stderr.splitlines()
        messages = [line for line in lines if line.startswith("error: ")]
        assert self.exit_code == 2, self.stderr
        assert messages == lines[-1:], self.stderr
        assert messages[0].endswith((".", "?"))
        assert "Traceback" not in self.stderr + self.stdout
        return messages[0].removeprefix("error: ")


def run(*arguments: str | Path) -> Ended:
    """Run the command line in this process."""
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return Ended(done.exit_code, done.stdout, done.stderr)


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file under a folder with its content, but what a run may remember for later ones."""
    remembered = {folder / "cache" / name for name in ("checks", "known")}
    files = (p for p in folder.rglob("*") if p.is_file() and p.parent not in remembered)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def several(lines: Sequence[Sequence[str | Path]], *before: str | Path) -> list[Ended]:
    """Run command lines, each after its cache's place, in a process begun by the words `before`."""
    texts = json.dumps([[str(argument) for argument in line] for line in lines])
    command = [*map(str, before), sys.executable, "-c", SEVERAL, texts]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [Ended(*entry) for entry in json.loads(done.stdout.splitlines()[-1])]
