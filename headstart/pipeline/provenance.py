"""Where a result comes from: backbone, data, day, version, and the command that made it."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Mapping
from dataclasses import fields
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any, final

from headstart.data.remote.addresses import address, shown
from headstart.defaults import Settings

_CREDENTIALS = re.compile(r"(?<=://)[^/@\s'\"]+@")  # user and password before a host
_ORIGIN = ("reference", "licence", "trained_on", "weights_hash", "pretrained")


@final
class Name(str):
    """What a caller's own variable may be called, where no path can be written."""

    def __repr__(self) -> str:
        return str(self)


def provenance(
    origin: Mapping[str, Any], modality: str, data: str | Path, call: str
) -> dict[str, Any]:
    """What a report says of how its model was made.

    `origin` are the backbone's facts, `call` the call in Python that stands for a command where
    none was typed.
    """
    return {
        "command": _tidied(_typed() or call),
        "date": date.today().isoformat(),
        "headstart": version("headstart"),
        "modality": modality,
        "data": Path(data).name,
        "backbone": {name: origin.get(name) for name in _ORIGIN},
    }


def called(name: str, *arguments: str, settings: Settings | None = None, **options: str) -> str:
    """A call of the package as it is written in Python, with the settings that are not usual."""
    words = [repr(value) for value in arguments]
    words += [f"{key}={value!r}" for key, value in options.items()]
    changed = [
        f"{each.name}={value!r}"
        for each in fields(Settings)
        if settings and (value := getattr(settings, each.name)) != each.default
    ]
    if changed:
        words.append(f"settings=hs.Settings({', '.join(changed)})")
    return f"hs.{name}({', '.join(words)})"


def _typed() -> str | None:
    """The command that began this process, where it was one of Headstart's.

    Of addresses there is no query in it, as it may be a signature.
    """
    program = Path(sys.argv[0])
    module = program.name == "__main__.py" and program.parent.name == "headstart"
    if program.name not in ("headstart", "headstart.exe") and not module:
        return None
    words = (shown(address(word)) if address(word) else word for word in sys.argv[1:])
    return shlex.join(["headstart", *words])


def _tidied(command: str) -> str:
    """A command without passwords in addresses, and with `~` for the user's folder."""
    home = os.path.expanduser("~")
    if Path(home).is_absolute() and Path(home).parent != Path(home):
        command = re.sub(rf"{re.escape(home)}(?=[/\\])", "~", command)
    return _CREDENTIALS.sub("", command)
