"""What `headstart cache` answers: what is stored for later runs, and what was removed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from headstart.features import cache
from headstart.features.cache import DESCRIBED, Entry
from headstart.report import as_columns
from headstart.runtime.places import cache_folder

OTHERS = {
    "engines": "networks compiled for this machine",
    "known": "what is known of backbones",
    "prepared": "items prepared for networks",
    "checks": "checks of items",
    "history": "scores of past runs",
    "listings": "what hubs have listed",
    "tfhub": "networks fetched from TensorFlow Hub",
    "torchhub": "repositories fetched for torch hub",
    "scratch": "networks trained from scratch",
}


@dataclass(frozen=True)
class Contents:
    """The cache's folder, entries and limit, after what was asked for was done; sizes in bytes."""

    folder: Path
    limit: int
    entries: Sequence[Entry]
    removed: Sequence[Entry]
    limited: bool  # whether anything was to be removed

    @property
    def total(self) -> int:
        """The bytes of all entries."""
        return sum(entry.bytes for entry in self.entries)

    def to_json(self) -> dict[str, Any]:
        """{"folder", "total", "limit", "entries": [{"name", "bytes", "in_use", …}], "removed"}."""
        return {
            "folder": str(self.folder),
            "total": self.total,
            "limit": self.limit,
            "entries": [_fields(entry) for entry in self.entries],
            "removed": [_fields(entry) for entry in self.removed],
        }

    def __str__(self) -> str:
        rows = [
            (
                _what(entry),
                "" if entry.rows is None else str(entry.rows),
                readable(entry.bytes),
                _when(entry).astimezone().strftime("%Y-%m-%d %H:%M"),
                "yes" if entry.in_use else "no",
            )
            for entry in self.entries
        ]
        lines = [str(self.folder), f"{readable(self.total)} of at most {readable(self.limit)}"]
        if self.limited:
            freed = readable(sum(entry.bytes for entry in self.removed))
            lines.append(f"{len(self.removed)} removed, {freed}")
            if any(entry.in_use for entry in self.entries):
                lines.append("What a running process uses was kept.")
        if rows:
            titles = ("what", "rows", "size", "last used", "in use")
            lines += ["", as_columns(titles, rows)]
        return "\n".join(lines)


def tend(most: str | None, clear: bool) -> Contents:
    """Set the limit to `most` (a size, or auto) and clear the cache, if asked to; then look.

    Raises HeadstartError for a size that is none, and where the cache can't be changed.
    """
    size = None if most in (None, "auto") else cache.size_of(str(most))
    if most is not None:
        cache.set_limit(size)
    removed = cache.clear() if clear else []
    if most is not None:
        removed += cache.enforce_limit()
    limited = clear or most is not None
    return Contents(cache_folder(), cache.limit(), cache.entries(), removed, limited)


def readable(size: int) -> str:
    """Bytes as people read them: 999 B, 1.5 MB, 20.0 GB."""
    number, unit = float(size), "B"
    for larger in ("KB", "MB", "GB", "TB"):
        if number < 1000:
            break
        number, unit = number / 1000, larger
    return f"{size} B" if unit == "B" else f"{number:.1f} {unit}"


def _what(entry: Entry) -> str:
    if entry.name.startswith((f"{cache.UNPACKED}/", f"{cache.URLS}/")):
        return f"data {entry.name}"
    if entry.rows is None:
        return OTHERS[entry.name]
    if not entry.key:
        return f"activations {entry.name}"
    if DESCRIBED in entry.key:
        return "numbers about items"
    key = {name: str(value) for name, value in entry.key.items()}
    boundary = key.get("boundary", "?")
    return f"{key.get('architecture', '?')}, {boundary} stages, {key.get('precision', '?')}"


def _when(entry: Entry) -> datetime:
    return datetime.fromtimestamp(entry.last_used, UTC)


def _fields(entry: Entry) -> dict[str, Any]:
    return asdict(entry) | {"last_used": _when(entry).isoformat(timespec="seconds")}
