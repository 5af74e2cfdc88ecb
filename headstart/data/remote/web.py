"""Files on the web: read whole or by parts, over http and https."""

from __future__ import annotations

import re
from collections.abc import Iterator
from http.client import HTTPException
from typing import Any, Final, final
from urllib import request as http
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit, urlunsplit

from headstart.data.remote.stores import Fault, State, Store
from headstart.errors import named_reason, reason
from headstart.loading.downloads import fetching
from headstart.loading.downloads.fetching import TIMEOUT, opener, version_of

_RANGE: Final = re.compile(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18})", re.ASCII)
_SIZE: Final = re.compile(r"\d{1,18}", re.ASCII)
_PLAIN: Final = "%/:=&?~+!$,;'@()*[]"  # what addresses are written with, besides letters and digits
_BLOCK: Final = 1 << 20  # bytes that are waited for at once, whatever a server promises
_DENIED: Final = (401, 403)
_ABSENT: Final = (404, 410)
_NO_RANGE: Final = 416
_PART: Final = 206
_ADDRESS: Final = "Check the address."
_DOWNLOAD: Final = "Download it, and give the path on this machine."


@final
class Web(Store):
    """What a server gives by GET; folders can't be listed there."""

    lists = False

    def state(self, text: str) -> State | None:
        """By the first byte, as addresses that are signed are so for GET alone."""
        try:
            with _answer(text, "bytes=0-0") as answer:
                return _state(answer.headers, _begun(answer)[1])
        except Fault as fault:
            if fault.absent:
                return None
            error = fault.__cause__
            if isinstance(error, HTTPError) and error.code == _NO_RANGE:  # it is empty
                return _state(error.headers, 0)
            raise

    def listing(self, text: str) -> Iterator[tuple[str, State]]:
        """Of no folder."""
        raise Fault("a server of web pages lists no folders", "Give a table or a shard.")

    def read(self, text: str, start: int, size: int) -> tuple[bytes, State]:
        """By GET of a part; of a server that gives none, the beginning of the whole."""
        with _answer(text, f"bytes={start}-{start + size - 1}") as answer:
            begun, whole = _begun(answer)
            if begun != start:
                raise Fault("its server gives no parts of files", _DOWNLOAD)
            return _content(answer, min(size, whole - start)), _state(answer.headers, whole)


def _begun(answer: Any) -> tuple[int, int]:
    """The byte that an answer begins with, and how many the whole file has."""
    match = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
    size = _SIZE.fullmatch(answer.headers.get("Content-Length", ""))
    if answer.status == _PART and match:
        return int(match[1]), int(match[2])
    if answer.status == _PART or size is None:
        raise Fault("its server doesn't say how large it is", _DOWNLOAD)
    return 0, int(size[0])


def _content(answer: Any, size: int) -> bytes:
    blocks: list[bytes] = []
    try:
        while size > 0:
            blocks.append(answer.read(min(size, _BLOCK)))
            if not blocks[-1]:
                raise Fault("the connection broke", passing=True)
            size -= len(blocks[-1])
    except (OSError, HTTPException) as error:
        raise Fault("the connection broke", passing=True) from error
    return b"".join(blocks)


def _answer(text: str, part: str) -> Any:
    """What a server answers when it is asked for a part of a file. Raises Fault."""
    try:
        parts = urlsplit(text)
        path, query = (quote(each, safe=_PLAIN) for each in (parts.path, parts.query))
        url = urlunsplit((parts.scheme, parts.netloc, path, query, ""))
        headers = {"User-Agent": "headstart", "Range": part}
        answer = opener().open(http.Request(url, headers=headers), timeout=TIMEOUT)
        if answer.headers.get("Content-Encoding", "identity") != "identity":
            answer.close()
            raise Fault("its server sends it compressed, so that no part is what it is", _DOWNLOAD)
        return answer
    except HTTPError as error:
        error.close()
        if error.code in _DENIED:
            advice = "Give an address that may be read."
            raise Fault(f"access is denied ({error.code})", advice, denied=True) from error
        if error.code in _ABSENT:
            why = f"nothing is there ({error.code})"
            raise Fault(why, _ADDRESS, absent=True) from error
        passing = error.code >= 500 or error.code == 429
        raise Fault(f"the server answered {error.code}", passing=passing) from error
    except fetching.Fault as error:
        raise Fault(str(error), "Give the address that it leads to.") from error
    except (URLError, HTTPException, OSError) as error:
        cause = error.reason if isinstance(error, URLError) else error
        why = named_reason(cause) if isinstance(cause, Exception) else str(cause)
        raise Fault(why, passing=True) from error
    except ValueError as error:  # in the address, or in one that a server leads on to
        raise Fault(f"it is, or leads to, no address ({reason(error)})", _ADDRESS) from error


def _state(headers: Any, size: int) -> State:
    version = version_of(headers)
    return State(size, f"{size} {version}" if version else "")
