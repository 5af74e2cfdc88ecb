"""Files on the web: read whole or by parts, over http and https."""

from __future__ import annotations

import re
from collections.abc import Iterator
from http.client import HTTPException
from typing import Any, Final, final
from urllib import request as http
from urllib.error import HTTPError, URLError

from headstart.data.remote.stores import Fault, State, Store
from headstart.errors import named_reason
from headstart.loading.downloads import fetching
from headstart.loading.downloads.fetching import TIMEOUT, opener, version_of

_RANGE: Final = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_DENIED: Final = (401, 403)
_ABSENT: Final = (404, 410)
_NO_RANGE: Final = 416
_DOWNLOAD: Final = "Download it, and give the path on this machine."


@final
class Web(Store):
    """What a server gives by GET; folders can't be listed there."""

    lists = False

    def state(self, text: str) -> State | None:
        """By the first byte, as addresses that are signed are so for GET alone."""
        try:
            with _answer(http.Request(text, headers={"Range": "bytes=0-0"})) as answer:
                match = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
                size = match[3] if match else answer.headers.get("Content-Length")
                if size is None:
                    raise Fault("its server doesn't say how large it is", _DOWNLOAD)
                return _state(answer.headers, int(size))
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

    def read(self, text: str, start: int, size: int | None) -> tuple[bytes, State]:
        """By GET, of a part where one is asked for."""
        request = http.Request(text)
        part = start > 0 or size is not None
        if part:
            end = "" if size is None else start + size - 1
            request.add_header("Range", f"bytes={start}-{end}")
        with _answer(request) as answer:
            match = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
            if part and (answer.status != 206 or match is None or int(match[1]) != start):
                raise Fault("its server gives no parts of files", _DOWNLOAD)
            content = _content(answer)
            if len(content) != int(answer.headers.get("Content-Length", len(content))):
                raise Fault("the connection broke", passing=True)
            whole = int(match[3]) if match else len(content)
            return content, _state(answer.headers, whole)


def _content(answer: Any) -> bytes:
    try:
        content: bytes = answer.read()
        return content
    except (OSError, HTTPException) as error:
        raise Fault("the connection broke", passing=True) from error


def _answer(request: http.Request) -> Any:
    if "@" in request.host:
        raise Fault("it names a user, and none is sent", "Give an address that needs none.")
    request.add_header("User-Agent", "headstart")
    try:
        return opener().open(request, timeout=TIMEOUT)
    except HTTPError as error:
        error.close()
        if error.code in _DENIED:
            advice = "Give an address that may be read."
            raise Fault(f"access is denied ({error.code})", advice) from error
        if error.code in _ABSENT:
            why = f"nothing is there ({error.code})"
            raise Fault(why, "Check the address.", absent=True) from error
        passing = error.code >= 500 or error.code == 429
        raise Fault(f"the server answered {error.code}", passing=passing) from error
    except fetching.Fault as error:
        raise Fault(str(error), "Give the address that it leads to.") from error
    except (URLError, HTTPException, OSError) as error:
        cause = error.reason if isinstance(error, URLError) else error
        why = named_reason(cause) if isinstance(cause, Exception) else str(cause)
        raise Fault(why, passing=True) from error


def _state(headers: Any, size: int) -> State:
    version = version_of(headers)
    return State(size, f"{size} {version}" if version else "")
