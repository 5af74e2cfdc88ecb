"""The text of a table's file, line by line: UTF-8 or UTF-16, never held whole."""

from __future__ import annotations

import codecs
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from headstart.data.sources import FileSource
from headstart.errors import DataError
from headstart.runtime.encodings import NotTextError, decoded

_SAMPLE = 1 << 18  # characters or bytes, to tell a file's form from


@contextmanager
def opened(path: Path, newline: str = "") -> Iterator[TextIO]:
    """A file's text without its byte order mark. Raises DataError for a byte that is none of it.

    With the usual `newline`, lines end at any kind of line end and keep it.
    """
    try:
        with open(path, encoding=_encoding(path), newline=newline) as file:
            yield file
    except UnicodeDecodeError as error:
        raise _not_text(path) from error
    except OSError as error:
        FileSource(path).read()  # says what is wrong
        raise DataError(f"{path} can't be read ({error}). Check the file.") from error


def sample(path: Path) -> tuple[str, bool]:
    """The beginning of a file, and whether there is more of it. Raises DataError for no text."""
    with opened(path) as file:
        start = file.read(_SAMPLE)
        return start, bool(file.read(1))


def _encoding(path: Path) -> str:
    with open(path, "rb") as file:
        start = file.read(_SAMPLE)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if b"\0" in start:
        line = start[: start.index(b"\0")].count(b"\n") + 1
        raise DataError(
            f"{path} line {line} holds a NUL character, so that the file is no text, or UTF-16 "
            "without a byte order mark. Save it as UTF-8."
        )
    return "utf-8-sig"


def _not_text(path: Path) -> DataError:
    try:
        decoded(FileSource(path).read())
    except NotTextError as error:
        quoted, other = map(shlex.quote, (str(path), str(path.with_suffix(f".utf8{path.suffix}"))))
        return DataError(
            f"{path} line {error.line} holds a byte that is not {error.encoding} "
            f"(0x{error.byte:02x} at byte offset {error.offset}). Save the file as UTF-8, such as "
            f"by `iconv -f WINDOWS-1252 -t UTF-8 {quoted} > {other}` where Windows wrote it, "
            "and put that in its place."
        )
    return DataError(f"{path} changed while it was read. Try again.")
