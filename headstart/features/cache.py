"""The cache's folder: what lies in it, what is in use, and the limit that it is kept to.

`features/` holds one folder for each store of activations, `unpacked/` one for each archive of
data, `urls/` one for each data set by address; what else is known to lie here counts as one entry
a kind. What was used least recently goes first. What a living process holds a lock in is in use,
and is then never removed. Removing renames the entry first, so that whoever opens it a moment later
finds it whole or not at all.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final
from uuid import uuid4

from filelock import FileLock, Timeout

from headstart.errors import HeadstartError
from headstart.runtime.places import cache_folder

DISK_SHARE, MOST = 0.2, 50 * 10**9  # the limit unless one is set: of the disk's size, in bytes
RECORD_BYTES = 24  # one record of a store's index
DESCRIBED = "described"  # the entry of a store's key where it holds numbers about items
UNPACKED = "unpacked"  # archives of data, each a folder called by its content
URLS = "urls"  # data sets by address, each what was read of it
OTHERS = {  # compiled networks, what is known of backbones, checks of items, scores of past runs
    "engines": ("engines.json", "engines"),
    "known": ("known",),
    "prepared": ("prepared",),
    "checks": ("checks",),
    "history": ("history.jsonl",),
    "listings": ("backbones.json",),
    "tfhub": ("tfhub",),
    "torchhub": ("torchhub",),
    "scratch": ("scratch",),
}
# never removed for lack of space: whole runs were spent on it, or only a network brings it back
LASTING = {"history", "tfhub", "torchhub"}
_UNITS: dict[str, int] = {
    unit: 1000**power for power, unit in enumerate(("B", "KB", "MB", "GB", "TB"))
}
_REMOVED = "removed-"


@dataclass(frozen=True)
class Entry:
    """One store of activations, or one kind of other files; `rows` and `key` are a store's.

    `bytes` is its size on disk and `last_used` a time in seconds since 1970.
    """

    name: str
    bytes: int
    last_used: float
    in_use: bool
    rows: int | None = None
    key: Mapping[str, Any] = field(default_factory=dict)


@final
class Use:
    """Says that this process works with a store, until it is dropped or the process ends."""

    def __init__(self, folder: Path) -> None:
        with FileLock(folder.parent.parent / "lock"):
            marks = folder / "users"
            marks.mkdir(parents=True, exist_ok=True)
            _living(folder, tidy=True)
            self._place = marks / uuid4().hex
            self._lock = FileLock(self._place, thread_local=False)
            self._lock.acquire()
            with suppress(FileNotFoundError):
                os.utime(folder / "meta.json")  # what "last used" is read from

    @property
    def holds(self) -> bool:
        """Whether the store is still where it was; somebody may have removed it by hand."""
        return self._place.exists()


def entries(root: Path | None = None) -> list[Entry]:
    """What lies in the cache, used most recently first."""
    root = root or cache_folder()
    stores = [_store(folder) for folder in _folders(root / "features")]
    stores += [_of_data(kind, each) for kind in (UNPACKED, URLS) for each in _folders(root / kind)]
    for name, paths in OTHERS.items():
        there = [root / path for path in paths if (root / path).exists()]
        if there:
            files = [file for path in there for file in _files(path)]
            times = [path.stat().st_mtime for path in (*there, *files)]
            stores.append(Entry(name, _size(files), max(times), in_use=False))
    return sorted(stores, key=lambda entry: -entry.last_used)


def limit(root: Path | None = None) -> int:
    """How many bytes the cache may take: what was set, or 20 % of the disk but at most 50 GB."""
    root = root or cache_folder()
    with suppress(OSError, ValueError, KeyError, TypeError):
        text = (root / "cache.json").read_text(encoding="utf-8")
        chosen: int = max(0, int(json.loads(text)["limit"]))
        return chosen
    place = next(folder for folder in (root, *root.absolute().parents) if folder.is_dir())
    size: int = shutil.disk_usage(place).total
    return min(int(DISK_SHARE * size), MOST)


def set_limit(size: int | None, root: Path | None = None) -> None:
    """Remember a limit in bytes, or None for the usual one. Raises HeadstartError if it can't."""
    root = root or cache_folder()
    with _writing(root):
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / "lock"):
            if size is None:
                (root / "cache.json").unlink(missing_ok=True)
            else:
                write_whole(root / "cache.json", json.dumps({"limit": size}))


def enforce_limit(root: Path | None = None) -> list[Entry]:
    """Remove what was used least recently until the cache keeps to its limit; answer what went.

    What a living process uses stays, and so does what past runs found, so that the cache may remain
    above its limit. Call it after rows were added. Raises HeadstartError where the cache can't be
    written.
    """
    root = root or cache_folder()
    stores = entries(root)
    above = sum(entry.bytes for entry in stores) - limit(root)
    removed: list[Entry] = []
    for entry in reversed(stores):
        if above <= 0:
            break
        if entry.name not in LASTING and _remove(root, entry):
            removed.append(entry)
            above -= entry.bytes
    return removed


def clear(root: Path | None = None) -> list[Entry]:
    """Remove all that no living process uses; answer what went. Raises as `enforce_limit`."""
    root = root or cache_folder()
    return [entry for entry in entries(root) if _remove(root, entry)]


def size_of(text: str) -> int:
    """The bytes that `500MB`, `20GB` or `1.5TB` stand for. Raises HeadstartError for others."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?B)", text.strip(), re.IGNORECASE | re.ASCII)
    if not match:
        raise HeadstartError(f"{text!r} is not a size. Write it like 500MB, 20GB or 1.5TB.")
    return round(float(match[1]) * _UNITS[match[2].upper()])


def write_whole(path: Path, text: str) -> None:
    """Write a small file so that readers see the old one or the new one, never a part.

    The caller holds a lock, so that nobody else writes the same draft.
    """
    draft = path.with_name(f"{path.name}.draft")
    draft.write_text(text, encoding="utf-8")
    os.replace(draft, path)


def _store(folder: Path) -> Entry:
    """Describe a store from its files alone; where one is damaged, less is known."""
    key: Any = {}
    with suppress(OSError, ValueError, KeyError, TypeError):
        key = json.loads((folder / "meta.json").read_text(encoding="utf-8"))["key"]
    used, rows = 0.0, 0
    with suppress(OSError):
        used = folder.stat().st_mtime
        used = (folder / "meta.json").stat().st_mtime
        rows = (folder / "index.bin").stat().st_size // RECORD_BYTES
    facts = key if isinstance(key, Mapping) else {}
    return Entry(folder.name, _size(_files(folder)), used, _living(folder), rows, facts)


def _of_data(kind: str, folder: Path) -> Entry:
    used = 0.0
    with suppress(OSError):  # gone meanwhile
        used = folder.stat().st_mtime
    return Entry(f"{kind}/{folder.name}", _size(_files(folder)), used, _living(folder))


def _living(folder: Path, tidy: bool = False) -> bool:
    """Whether a living process uses a store. `tidy` takes dead marks away, and needs the lock."""
    alive = False
    for mark in list(_files(folder / "users")):
        try:
            with FileLock(mark, timeout=0):
                if tidy:
                    mark.unlink(missing_ok=True)
        except (Timeout, OSError):  # held, or another user's
            alive = True
    return alive


def _remove(root: Path, entry: Entry) -> bool:
    """Remove an entry unless it is in use; answer whether it went."""
    of_data = entry.name.startswith((f"{UNPACKED}/", f"{URLS}/"))
    own = entry.name if of_data else f"features/{entry.name}"
    names = OTHERS.get(entry.name, (own,))
    with _writing(root):
        aside = root / f"{_REMOVED}{uuid4().hex}"
        with FileLock(root / "lock"):  # nobody may open it between the look and the renaming
            if _living(root / names[0]):
                return False
            aside.mkdir()
            for name in names:
                with suppress(FileNotFoundError):
                    os.rename(root / name, aside / Path(name).name)
        for remains in root.glob(f"{_REMOVED}*"):  # a killed run may have left some, too
            shutil.rmtree(remains, ignore_errors=True)
    return True


def _folders(path: Path) -> list[Path]:
    return [each for each in path.iterdir() if each.is_dir()] if path.is_dir() else []


def _files(path: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(path):
        yield from (Path(folder, name) for name in names)
    if path.is_file():
        yield path


def _size(files: Iterator[Path] | list[Path]) -> int:
    total = 0
    for file in files:
        with suppress(OSError):  # gone meanwhile
            total += file.stat().st_size
    return total


@contextmanager
def _writing(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise HeadstartError(
            f"The cache {root} can't be changed ({error.strerror}). "
            "Point HEADSTART_CACHE at a folder of yours."
        ) from None
