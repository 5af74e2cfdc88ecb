"""The body of a request, read within limits."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Final, final

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from headstart.server.limits import Limits
from headstart.server.refusals import RefusedError
from headstart.server.room import Place

FORM: Final = "multipart/form-data"


@final
@dataclass(frozen=True)
class FormPart:
    """A part of a form: the field's name, the file's where it is one, and its content."""

    field: str
    file: str | None
    content: bytes


@final
@dataclass(frozen=True)
class Body:
    """What was sent: its type without parameters, and its content, or the parts of a form."""

    kind: str
    content: bytes
    parts: tuple[FormPart, ...] = ()


async def read(request: Request, limits: Limits, place: Place) -> Body:
    """A request's body. Raises RefusedError: 413 where it is too long, 415 for one encoded."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise RefusedError(415, f"The body is encoded as {encoding[:40]!r}. Send it as it is.")
    content = await _content(request, limits.body, place)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != FORM:
        return Body(kind, content)
    return Body(kind, b"", await _parts(request.headers, content, limits))


async def _content(request: Request, most: int, place: Place) -> bytes:
    stated = request.headers.get("content-length", "")
    long = stated.isdecimal() and (len(stated) > 18 or int(stated) > most)
    content, size = bytearray(), 0
    async for chunk in request.stream():
        size += len(chunk)
        if not long:
            place.take_bytes(len(chunk))
            content += chunk
            long = len(content) > most
        if size > 2 * most:  # up to there a client may send before it hears
            break
    if long:
        raise RefusedError(
            413,
            f"The body has more than {most} bytes. Send fewer or smaller items at once.",
            {"Connection": "close"},
        )
    return bytes(content)


async def _parts(headers: Headers, content: bytes, limits: Limits) -> tuple[FormPart, ...]:
    async def stream() -> AsyncGenerator[bytes, None]:
        yield content

    most = limits.items + 1  # that more are too many is said where items are counted
    parser = MultiPartParser(
        headers, stream(), max_files=most, max_fields=most, max_part_size=limits.body
    )
    parser.spool_max_size = limits.body + 1  # in memory, which is counted already
    try:
        form = await parser.parse()
    except MultiPartException as error:
        if error.message.startswith("Too many"):
            raise RefusedError(
                413, f"The form has more than {limits.items} parts. Send fewer at once."
            ) from None
        raise RefusedError(400, f"The form can't be read: {error.message}") from None
    return tuple(
        FormPart(name, value.filename or "file", value.file.read())
        if isinstance(value, UploadFile)
        else FormPart(name, None, value.encode("utf-8", "surrogatepass"))
        for name, value in form.multi_items()
    )
