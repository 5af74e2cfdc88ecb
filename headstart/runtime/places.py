"""Where Headstart keeps files of its own on this machine."""

from __future__ import annotations

import os
import re
from pathlib import Path

from platformdirs import user_cache_dir

from headstart.errors import HeadstartError

_ADDRESS = re.compile(r"[a-z][a-z\d+.-]+:/", re.IGNORECASE)


def cache_folder() -> Path:
    """What can be computed again: HEADSTART_CACHE, or the user's cache folder.

    Raises HeadstartError where that is an address.
    """
    place = os.environ.get("HEADSTART_CACHE") or user_cache_dir("headstart")
    if _ADDRESS.match(place):
        raise HeadstartError(
            f"HEADSTART_CACHE is {place}, an address, and the cache needs a folder whose files can "
            "be locked. Give a path on this machine; data may be read from an address."
        )
    return Path(place)


def demand_path(place: str | os.PathLike[str]) -> None:
    """Raise HeadstartError where something is to be written to an address."""
    if _ADDRESS.match(os.fspath(place)):
        raise HeadstartError(
            f"{os.fspath(place)} is an address, and nothing is written to one. Name a path on this "
            "machine, and copy what is there then."
        )
