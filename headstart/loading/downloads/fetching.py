"""Fetching a file over HTTP: continued after a break, checked, and written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any, Final, final
from urllib import request as http
from urllib.error import HTTPError
from urllib.parse import urlsplit

from filelock import FileLock
from huggingface_hub import constants

from headstart.errors import WeightsError, named_reason, reason
from headstart.runtime.places import cache_folder
from headstart.runtime.progress import Progress, Silent, Terminal

TIMEOUT: Final = 30.0  # seconds without a byte
ADVICE: Final = "Check the address and the connection, and try again; what arrived is kept."
_SCHEMES: Final = ("http", "https")
_ATTEMPTS: Final = 5  # connections, of which each but the first goes on where the last one broke
_BLOCK: Final = 1 << 18
_MEGABYTE: Final = 1_000_000
_RANGE: Final = re.compile(r"bytes (\d+)-\d+/(\d+)")
_BAD_RANGE: Final = 416


class Fault(Exception):
    """Why a file can't be had, in words for the user."""


@final
@dataclass(frozen=True)
class _Mark:
    """What a server said of the file of which a part is here: equal as long as it is the same."""

    url: str
    version: str  # its strong ETag, or when it was last changed; empty where it said neither
    total: int | None  # bytes


@final
class _Redirects(http.HTTPRedirectHandler):
    """Follows redirects, but never from an encrypted connection to one that isn't."""

    def redirect_request(
        self, req: http.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> http.Request | None:
        """The request that follows. Raises a fault for what isn't to be followed."""
        scheme = urlsplit(newurl).scheme
        if scheme not in _SCHEMES or (req.type == "https" and scheme != "https"):
            raise Fault(f"it leads on to {newurl.partition('?')[0]}")  # which may be signed
        return super().redirect_request(req, fp, code, msg, headers, newurl)

    def http_error_302(
        self, req: http.Request, fp: IO[bytes], code: int, msg: str, headers: Any
    ) -> Any:
        """What the address gives that a server leads on to; of one that isn't followed, no more."""
        try:
            return super().http_error_302(req, fp, code, msg, headers)
        except BaseException:
            fp.close()
            raise

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


def fetch(
    url: str,
    path: Path,
    *,
    sha256: str = "",
    what: str = "",
    advice: str = ADVICE,
    progress: Progress | None = None,
) -> Path:
    """Download a file, unless it is there already, which is then taken as it is.

    `sha256` is the hash it must have, or the first digits of it; `what` is how messages call it,
    and `advice` their last sentence. What arrived before a break lies beside it in a `.part` file,
    and the next call goes on from there if the server still has the same file. Two processes never
    write the same file: the second waits for the first. Without `progress` a bar is shown where
    standard error is a terminal.

    Raises WeightsError for an address other than http or https, where HF_HUB_OFFLINE is set, and
    where the file can't be fetched or has another hash.
    """
    if path.is_file():
        return path
    try:
        if urlsplit(url).scheme not in _SCHEMES:
            raise Fault("only http and https are fetched")
        if constants.HF_HUB_OFFLINE:
            raise Fault(f"HF_HUB_OFFLINE forbids it, and {path} is missing")
        path.parent.mkdir(parents=True, exist_ok=True)
        with alone(path):
            if not path.is_file():
                display = progress or (Terminal() if sys.stderr.isatty() else Silent())
                _download(url, path, sha256.lower(), display)
    except (Fault, OSError, HTTPException, ValueError) as error:
        fault = reason(error) if isinstance(error, Fault) else named_reason(error)
        raise WeightsError(
            f"{what or path.name} could not be fetched from {url} ({fault}). {advice}"
        ) from error
    return path


def file_sha256(path: Path) -> str:
    """The hash of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cut_off(address: str) -> bool:
    """Whether no download from there can begin, found before a library's many slow attempts."""
    if constants.HF_HUB_OFFLINE:
        return True
    if http.getproxies():
        return False
    where = urlsplit(address)
    try:
        socket.getaddrinfo(where.hostname, where.port or 443)
    except OSError:
        return True
    return False


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Keep other processes of this user from what concerns this path until it is left.

    The lock lies in our own cache, so that folders shared with other programs stay as they are.
    """
    name = hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:32]
    folder = cache_folder() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f"{name}.lock"):
        yield


def _download(url: str, path: Path, sha256: str, progress: Progress) -> None:
    part = path.with_name(f"{path.name}.part")
    for _ in range(_ATTEMPTS):
        whole = _receive(url, part, progress)
        if whole:
            break
    else:
        raise Fault(f"the connection broke {_ATTEMPTS} times, the last time after {_size(part)} B")
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    own = file_sha256(part)
    if not own.startswith(sha256):
        _forget(part)
        raise Fault(f"its sha256 is {own}, not {sha256}")
    os.replace(part, path)
    _forget(part)


def _receive(url: str, part: Path, progress: Progress) -> bool:
    """Write what one connection gives behind what is there; whether that is the whole file."""
    mark = _read_mark(part, url)
    start = _size(part) if mark else 0
    request = http.Request(url, headers={"User-Agent": "headstart"})
    if mark and start:
        request.add_header("Range", f"bytes={start}-")
        request.add_header("If-Range", mark.version)
    try:
        answer = opener().open(request, timeout=TIMEOUT)
    except HTTPError as error:
        error.close()
        if error.code != _BAD_RANGE or not start:
            raise
        _forget(part)  # the file is shorter than what is here
        return False
    with answer:
        if answer.status == 206:
            if not _goes_on(answer, mark, start):
                _forget(part)
                return False
        else:
            start = 0
            mark = _Mark(url, version_of(answer.headers), answer.length)
            _mark_file(part).write_text(json.dumps(asdict(mark)), encoding="utf-8")
        total = mark.total if mark else None
        ended = _write(answer, part, start, total, progress)
    return ended if total is None else _size(part) == total


def _write(answer: Any, part: Path, start: int, total: int | None, progress: Progress) -> bool:
    """Write until the server ends or the connection breaks; whether it ended."""
    display = progress if total else Silent()
    with (
        part.open("rb+" if start else "wb") as file,
        display.track(f"{part.stem} (MB)", (total or 0) // _MEGABYTE) as advance,
    ):
        file.seek(start)
        done = start
        advance(start // _MEGABYTE)
        while True:
            try:
                block = answer.read1(_BLOCK)
            except (OSError, HTTPException):
                return False
            if not block:
                return True
            file.write(block)
            advance((done + len(block)) // _MEGABYTE - done // _MEGABYTE)
            done += len(block)


def _goes_on(answer: Any, mark: _Mark | None, start: int) -> bool:
    """Whether a partial answer is the rest of the same file."""
    match = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
    return (
        mark is not None
        and match is not None
        and (int(match[1]), int(match[2])) == (start, mark.total)
        and version_of(answer.headers) == mark.version
    )


def version_of(headers: Any) -> str:
    """A file's strong ETag, or when it was last changed; empty where neither is said."""
    tag = str(headers.get("ETag", ""))
    return tag if tag and not tag.startswith("W/") else str(headers.get("Last-Modified", ""))


def _read_mark(part: Path, url: str) -> _Mark | None:
    """What was said of the file whose part is here, if the rest of it can be asked for."""
    try:
        mark = _Mark(**json.loads(_mark_file(part).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return mark if mark.url == url and mark.version and mark.total and part.is_file() else None


def _mark_file(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _size(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def _forget(part: Path) -> None:
    for file in (part, _mark_file(part)):
        with suppress(FileNotFoundError):
            file.unlink()


def opener() -> http.OpenerDirector:
    """What opens addresses: http and https alone, by the proxies of the environment."""
    director = http.OpenerDirector()
    for handler in (
        http.ProxyHandler(),
        http.UnknownHandler(),
        http.HTTPHandler(),
        http.HTTPSHandler(),
        http.HTTPDefaultErrorHandler(),
        http.HTTPErrorProcessor(),
        _Redirects(),
    ):
        director.add_handler(handler)
    return director
