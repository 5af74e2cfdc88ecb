"""Where Headstart keeps files of its own on this machine."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_dir


def cache_folder() -> Path:
    """What can be computed again: HEADSTART_CACHE, or the user's cache folder."""
    return Path(os.environ.get("HEADSTART_CACHE") or user_cache_dir("headstart"))
