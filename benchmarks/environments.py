"""The peers' virtual environments, made once by ordinary pip."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Final

from benchmarks.registry import ENVIRONMENTS

FOLDER: Final = Path(__file__).resolve().parent / ".envs"
SAME: Final = (  # as in our own environment
    *("torch", "torchvision", "timm"),
    *("openvino", "pillow", "numpy"),
)


class BrokenEnvironmentError(Exception):
    """An environment that pip could not make."""


def requirements(name: str) -> list[str]:
    """What pip is asked for: the libraries by name, those of SAME in our own versions."""
    return [
        f"{library}=={version(library).partition('+')[0]}" if library in SAME else library
        for library in ENVIRONMENTS[name]
    ]


def python(name: str) -> Path:
    """The interpreter of an environment, which need not exist yet."""
    part = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")
    return FOLDER / name / Path(*part)


def ready(name: str) -> bool:
    """Whether the environment was wholly made for today's requirements."""
    stamp = FOLDER / name / "made-for.txt"
    return stamp.exists() and stamp.read_text(encoding="utf-8") == "\n".join(requirements(name))


def make(name: str) -> Path:
    """Make an environment unless it is ready, and answer with its interpreter.

    Raises BrokenEnvironmentError with the end of pip's own words.
    """
    interpreter = python(name)
    if ready(name):
        return interpreter
    print(f"Installing the peers into {FOLDER / name}; this happens once.", flush=True)
    pip = [interpreter, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    steps = ([sys.executable, "-m", "venv", FOLDER / name], [*pip, *requirements(name)])
    for step in steps:
        done = subprocess.run(
            [str(part) for part in step], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise BrokenEnvironmentError(f"{FOLDER / name} can't be made: {done.stderr[-2000:]}")
    stamp = FOLDER / name / "made-for.txt"
    stamp.write_text("\n".join(requirements(name)), encoding="utf-8")
    return interpreter
