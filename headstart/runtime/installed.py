"""What is installed of this package: all of it, or what only answers."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Final

WHOLE: Final = "headstart"
ANSWERING: Final = "headstart-predict"  # the same files without the libraries that train

LIBRARIES = (
    *("torch", "torchvision", "timm", "numpy", "scikit-learn", "pillow", "safetensors"),
    *("transformers", "tokenizers", "peft"),  # where they are installed
)


def own_version() -> str:
    """The version of this package. Raises PackageNotFoundError where it is not installed."""
    return version(ANSWERING if answers_alone() else WHOLE)


def answers_alone() -> bool:
    """Whether only what a saved model needs to answer is installed."""
    return not _is_there(WHOLE) and _is_there(ANSWERING)


def installation(extra: str) -> str:
    """The command that brings the packages of an extra."""
    return f"pip install '{ANSWERING if answers_alone() else WHOLE}[{extra}]'"


def _is_there(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True


def versions() -> dict[str, str]:
    """The versions a result depends on."""
    return dict(_versions())


@cache
def _versions() -> Mapping[str, str]:
    libraries = {"headstart": version(WHOLE), "python": sys.version.split()[0]}
    for name in LIBRARIES:
        with suppress(PackageNotFoundError):
            libraries[name] = version(name)
    return libraries
