"""Unpacking archives of strangers: looked through first, then written whole or not at all."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import posixpath
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Any, Final, cast, final
from uuid import uuid4

from headstart.errors import WeightsError, named_reason
from headstart.runtime.damage import DAMAGE

MOST: Final = 8 << 30  # bytes that an archive may grow to, where nothing else is said
MEMBERS: Final = 100_000
_HEADER: Final = 1 << 20  # bytes that may be read at once: a tar's headers are read in one piece
_PACKED: Final[dict[bytes, Callable[..., Any]]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
}
_TAR_AT: Final = 257  # where a tar's first header says that it is one
_TAR: Final = b"ustar"


@final
@dataclass(frozen=True)
class _Member:
    """A file or folder in an archive. `link` is where it leads, for links."""

    name: str
    size: int
    key: Any
    kind: str = "file"  # or folder, link (from where it stands), hard link (from the top), other
    link: str = ""

    @property
    def path(self) -> str:
        """Its name without `./` and doubled slashes; empty for the archive's own folder."""
        return "/".join(PurePosixPath(self.name).parts)


def unpack(archive: Path, folder: Path, most: int = MOST, members: int = 0) -> Path:
    """Unpack a .zip or .tar, compressed or not, into a new folder, unless that is there already.

    Links to files in the archive become copies of them. Before anything is written, all names are
    looked through: raises WeightsError for a name or a link that leads outside, a device, more than
    `most` bytes or `members` files (MEMBERS by default), and an archive that can't be read.
    """
    if folder.is_dir():
        return folder
    scratch = folder.with_name(f".{folder.name}.{uuid4().hex[:8]}")
    try:
        with _opened(archive) as (inside, open_file):
            members_of = _checked(inside, archive, most, members or MEMBERS)
            scratch.mkdir(parents=True)
            for path, key in members_of.items():
                _write(open_file(key), scratch / path)
        scratch.rename(folder)
    except DAMAGE as error:
        raise WeightsError(
            f"{archive} can't be unpacked ({named_reason(error)}). Fetch it again."
        ) from error
    except OSError as error:
        if not folder.is_dir():
            raise WeightsError(
                f"{archive} can't be unpacked into {folder} ({error.strerror or error}). "
                "Check the folder, its disk and the archive."
            ) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return folder


@final
@dataclass(frozen=True)
class Entry:
    """A file in a plain tar: its path, where its content begins, its bytes, and what reads them."""

    path: str
    start: int
    size: int
    read: Callable[[], bytes]


def files_in(what: str, file: IO[bytes], members: int = MEMBERS) -> Iterator[Entry]:
    """The files in a plain tar in their order, of which nothing is read but headers.

    `what` is how messages call it. Raises WeightsError as `unpack` does, and for links, files with
    holes, and what is no plain tar.
    """
    with (
        _looked_through(what),
        tarfile.open(fileobj=cast(Any, _Bounded(file)), mode="r:") as tar,
    ):
        for count, member in enumerate(_tar_members(tar)):
            _check_name(what, member)
            if count >= members:
                raise _refusal(what, f"more than {members:,} files", "")
            if "link" in member.kind or member.key.issparse():
                raise _refusal(what, repr(member.name), " a link or a file with holes,")
            if member.kind == "file":
                content = partial(_content, what, tar, member.key)
                yield Entry(member.path, member.key.offset_data, member.size, content)


def _content(what: str, tar: tarfile.TarFile, key: tarfile.TarInfo) -> bytes:
    whole = io.BytesIO()
    with _looked_through(what), cast(IO[bytes], tar.extractfile(key)) as content:
        shutil.copyfileobj(content, whole, _HEADER // 4)
    return whole.getvalue()


@contextmanager
def _looked_through(what: str) -> Iterator[None]:
    try:
        yield
    except DAMAGE as error:
        raise WeightsError(
            f"{what} can't be looked through ({named_reason(error)}). Fetch it again."
        ) from error


def _write(content: IO[bytes], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with content, path.open("wb") as file:
        shutil.copyfileobj(content, file, _HEADER // 4)


def _checked(
    members: Iterator[_Member], archive: Path, most: int, most_members: int
) -> dict[str, Any]:
    """The files to write, by path, each with the key of its content."""
    files: dict[str, _Member] = {}
    links: list[_Member] = []
    total = count = 0
    for member in members:
        total, count = total + member.size, count + 1
        if total > most or count > most_members:
            raise _refusal(archive, f"more than {most / 1e9:g} GB or {most_members:,} files", "")
        _check_name(archive, member)
        if member.kind == "file":
            files[member.path] = member
        elif member.kind != "folder":
            links.append(member)
    keys = {path: member.key for path, member in files.items()}
    for member in links:
        target = files.get(_target(member))
        if target is None:
            raise _refusal(archive, repr(member.name), f" a link to {member.link!r} outside it,")
        total += target.size
        keys[member.path] = target.key
    if total > most:
        raise _refusal(archive, f"more than {most / 1e9:g} GB", "")
    return keys


def _check_name(archive: Path | str, member: _Member) -> None:
    posix, windows = PurePosixPath(member.name), PureWindowsPath(member.name)
    if posix.is_absolute() or windows.anchor or ".." in (*posix.parts, *windows.parts):
        raise _refusal(archive, repr(member.name), " which leads outside it,")
    if "\0" in member.name or (not member.path and member.kind != "folder"):
        raise _refusal(archive, repr(member.name), " which is no name of a file,")
    if member.kind == "other":
        raise _refusal(archive, repr(member.name), " a device or the like,")


def _refusal(archive: Path | str, holds: str, why: str) -> WeightsError:
    comma = "," if why else ""
    return WeightsError(
        f"{archive} holds {holds}{comma}{why or ','} so that nothing of it was unpacked. "
        "Take another archive."
    )


def _target(member: _Member) -> str:
    beside = posixpath.dirname(member.path) if member.kind == "link" else ""
    return posixpath.normpath(posixpath.join(beside, member.link))


@contextmanager
def _opened(archive: Path) -> Iterator[tuple[Iterator[_Member], Callable[[Any], Any]]]:
    """What it holds, in its order, told without unpacking more than headers, and what opens it."""
    with archive.open("rb") as file:
        start = file.read(_TAR_AT + len(_TAR))
    packed = next((opener for sign, opener in _PACKED.items() if start.startswith(sign)), None)
    if packed is not None or start[_TAR_AT:] == _TAR:
        with (packed or open)(archive, "rb") as plain:
            bounded: Any = _Bounded(plain)  # all of a file that the reader uses
            with tarfile.open(fileobj=bounded, mode="r:") as tar:
                yield _tar_members(tar), tar.extractfile
    else:
        with zipfile.ZipFile(archive) as opened:
            yield _zip_members(opened), opened.open


def _tar_members(tar: tarfile.TarFile) -> Iterator[_Member]:
    for info in tar:
        if info.size < 0:  # from which some versions of the reader never come back
            raise tarfile.ReadError("a file has a negative size")
        kinds = (
            (info.isreg(), "file"),
            (info.isdir(), "folder"),
            (info.issym(), "link"),
            (info.islnk(), "hard link"),
        )
        kind = next((name for holds, name in kinds if holds), "other")
        yield _Member(info.name, info.size if info.isreg() else 0, info, kind, info.linkname)


def _zip_members(archive: zipfile.ZipFile) -> Iterator[_Member]:
    for info in archive.infolist():
        mode = stat.S_IFMT(info.external_attr >> 16)
        name = info.orig_filename  # the other one is cut and changed to look harmless
        if info.is_dir():
            yield _Member(name, 0, info, "folder")
        elif mode == stat.S_IFLNK:
            with archive.open(info) as content:
                link = content.read(4096).decode("utf-8", "replace")
            yield _Member(name, 0, info, "link", link)
        else:
            kind = "file" if mode in (0, stat.S_IFREG) else "other"
            yield _Member(name, info.file_size, info, kind)


@final
class _Bounded:
    """A file of which nobody may read much at once, as a tar's headers might make one do."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _HEADER:
            raise tarfile.ReadError("a header asks for too much")
        content: bytes = self._file.read(size)
        return content

    def seek(self, place: int, whence: int = 0) -> int:
        return int(self._file.seek(place, whence))

    def tell(self) -> int:
        return int(self._file.tell())
