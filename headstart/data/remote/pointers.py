"""Small files in the place of those that lie elsewhere: they say where, and what was read is kept.

A data set by address is a folder in the cache that holds such a file for each of its pictures,
sounds, shards and tables of columns, so that its layout is understood as that of any folder is.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any, Final, final
from uuid import uuid4

from headstart.data.remote.addresses import shown
from headstart.data.remote.stores import State, demand_same, patiently
from headstart.errors import DataError, RemoteError
from headstart.runtime.places import cache_folder

URLS: Final = "urls"  # the folder of the cache
MARK: Final = b"headstart pointer 1\n"  # how such a file begins, and no file that was fetched
MOST_KEPT: Final = 20 * 10**9  # bytes, unless HEADSTART_URL_CACHE says how many GB
_FREE_SHARE: Final = 0.25  # of what is free on the disk, at most
_LONGEST: Final = 65_536  # bytes of such a file
_SUM: Final = 16  # bytes of the hash before content that is kept


@lru_cache(maxsize=8)
def _top(place: str) -> tuple[str, ...]:
    """How the names of files of data sets by address begin."""
    return tuple({os.path.join(each, "") for each in (place, os.path.realpath(place))})


def mirror_of(path: str | os.PathLike[str]) -> Path | None:
    """The folder of the cache for the data set by address that a path lies in, if in one."""
    name = os.path.abspath(path)
    for top in _top(os.path.abspath(cache_folder() / URLS)):
        if name.startswith(top):
            return Path(top, name[len(top) :].split(os.sep, 1)[0])
    return None


def pointer_at(path: Path) -> Pointer | None:
    """What a file points to; None for any other. Raises OSError where it can't be read."""
    mirror = mirror_of(path)
    if mirror is None:
        return None
    with path.open("rb") as file:
        if file.read(len(MARK)) != MARK:
            return None
        try:
            return Pointer(**json.loads(file.read(_LONGEST)), place=str(path))
        except (ValueError, TypeError) as error:
            raise OSError(errno.EIO, "it is damaged; run `headstart cache --clear`") from error


@final
@dataclass(frozen=True)
class Pointer:
    """A file, or `size` bytes of it from `start` on, in the state that is its version's.

    Without a version the state is asked for when it is first read. `place` is the file that says
    so.
    """

    address: str
    size: int | None = None
    version: str = ""
    start: int = 0
    place: str = ""

    def write(self, path: Path) -> None:
        """Write the file that says so, whole or not at all."""
        facts = {name: value for name, value in asdict(self).items() if name != "place" and value}
        draft = path.with_name(f".{uuid4().hex}")
        draft.write_bytes(MARK + json.dumps(facts).encode())
        os.replace(draft, path)

    def read(self) -> bytes:
        """All that it points to.

        Raises DataError where nothing is there, RemoteError where it can't be had, or has changed.
        """
        own = self if self.version else self._settled()
        return own.part(0, own.length())

    def part(self, start: int, size: int, keep: bool = True) -> bytes:
        """Some of its bytes. Raises as `read` does."""
        if not size:  # of which no request can be made
            return b""
        start += self.start
        copy = self._copy(start, size) if self.version and keep else None
        content = _content(copy) if copy else None
        if content is not None:
            return content
        content, state = patiently(
            self.address, lambda store: store.read(self.address, start, size)
        )
        whole = start == 0 and size == state.size
        demand_same(self.address, self.version, state, in_parts=not whole)
        if len(content) != size:
            raise RemoteError(
                f"{shown(self.address)} ended after {len(content)} of {size} bytes. Run the "
                "command again."
            )
        if copy:
            _keep(copy, content)
        return content

    def keep(self, content: bytes) -> None:
        """Keep what it points to, which was read on the way."""
        copy = self._copy(self.start, len(content))
        if copy:
            _keep(copy, content)

    def length(self) -> int:
        """Its bytes. Raises DataError where nothing is there."""
        own = self if self.size is not None else self._settled()
        return own.size or 0

    def _settled(self) -> Pointer:
        """The same in the state of now, which is written in its place."""
        state = self._state()
        size = self.size if self.start else state.size  # which is the whole tar's
        own = Pointer(self.address, size, state.version, self.start, self.place)
        if self.place and state.version:
            own.write(Path(self.place))
        return own

    def _state(self) -> State:
        state = patiently(self.address, lambda store: store.state(self.address))
        if state is None:
            raise DataError(f"{shown(self.address)} can't be read: nothing is there. Correct it.")
        return state

    def _copy(self, start: int, size: int) -> Path | None:
        key = json.dumps([self.address, self.version, start, size])
        name = hashlib.blake2b(key.encode(), digest_size=16).hexdigest()
        mirror = mirror_of(self.place)
        return mirror / "parts" / name[:2] / name[2:] if mirror else None


@final
class Remote(io.RawIOBase):
    """What a pointer points to as a file that can be read anywhere, each part by a request."""

    def __init__(self, pointer: Pointer, keep: bool = True) -> None:
        super().__init__()
        self._pointer = pointer if pointer.version else pointer._settled()
        self._size = self._pointer.length()
        self._keep = keep
        self._place = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place without reading."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}[whence]
        self._place = start + offset
        return self._place

    def tell(self) -> int:
        """The place."""
        return self._place

    def size(self) -> int:
        """Its bytes."""
        return self._size

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes. Raises RemoteError where they can't be had."""
        rest = max(0, self._size - self._place)
        count = rest if size is None or size < 0 else min(size, rest)
        content = self._pointer.part(self._place, count, self._keep) if count else b""
        self._place += count
        return content

    def readinto(self, buffer: Any, /) -> int:
        """The next bytes into memory that is there."""
        content = self.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)


def most_kept() -> int:
    """How many bytes may be kept in all: HEADSTART_URL_CACHE in GB, else 20, or as the disk has.

    Raises DataError where that is no number.
    """
    text = os.environ.get("HEADSTART_URL_CACHE", "")
    if not text:
        folder = cache_folder()
        here = next(place for place in (folder, *folder.absolute().parents) if place.is_dir())
        return min(MOST_KEPT, int(_FREE_SHARE * shutil.disk_usage(here).free))
    with suppress(ValueError, OverflowError):
        if float(text) >= 0:
            return int(float(text) * 10**9)
    raise DataError(f"HEADSTART_URL_CACHE is {text!r}, which is no number of GB. Give one, as 5.")


@final
class _Room:
    """How much is kept, counted once and then as it grows; what has no room is read again."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.taken: dict[Path, int] = {}

    def takes(self, size: int) -> bool:
        top = cache_folder() / URLS
        with self.lock:
            if top not in self.taken:
                self.taken[top] = sum(_sizes(top))
            if self.taken[top] + size > most_kept():
                return False
            self.taken[top] += size
            return True


_ROOM: Final = _Room()


def _sizes(top: Path) -> Iterator[int]:
    for folder in top.glob("*/parts"):
        for parent, _, names in os.walk(folder):
            for name in names:
                with suppress(OSError):  # gone meanwhile
                    yield os.stat(os.path.join(parent, name)).st_size


def _content(copy: Path) -> bytes | None:
    """What is kept there, if it is whole."""
    try:
        raw = copy.read_bytes()
    except OSError:
        return None
    content = raw[_SUM:]
    return content if raw[:_SUM] == _sum(content) else None


def _keep(copy: Path, content: bytes) -> None:
    """Keep content where there is room. A cache that can't be written is done without."""
    if not _ROOM.takes(len(content) + _SUM):
        return
    draft = copy.with_name(uuid4().hex)
    with suppress(OSError):
        copy.parent.mkdir(parents=True, exist_ok=True)
        try:
            draft.write_bytes(_sum(content) + content)
            os.replace(draft, copy)
        finally:
            draft.unlink(missing_ok=True)


def _sum(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=_SUM).digest()
