"""Earlier names of commands and flags, which go on working with a note."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final

COMMANDS: Final = {"extract": "export-features", "features": "cache-features"}
FLAGS: Final = {"--batch": "--batch-size", "--rate": "--learning-rate"}


def present(arguments: Sequence[str]) -> list[str]:
    """A command line in the names of today; the error stream says which ones were others."""
    words = list(arguments)
    if words and words[0] in COMMANDS:
        words[0] = _noted(words[0], COMMANDS[words[0]])
    for place, word in enumerate(words):
        if word == "--":
            break
        flag, equals, value = word.partition("=")
        if flag in FLAGS:
            words[place] = _noted(flag, FLAGS[flag]) + equals + value
    return words


def _noted(old: str, new: str) -> str:
    print(f"{old} is called {new} now.", file=sys.stderr)
    return new
