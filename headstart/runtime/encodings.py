"""Bytes as text: UTF-8 with or without a byte order mark, or UTF-16 with one."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from typing import final


@final
@dataclass
class NotTextError(Exception):
    """A byte that is none of a text's: where it stands, and what it should have been."""

    byte: int
    offset: int
    line: int  # counted from 1
    encoding: str


def decoded(raw: bytes) -> str:
    """The text, without its mark. Raises NotTextError for the first byte that is not of it."""
    wide = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    encoding = "UTF-16" if wide else "UTF-8"
    mark = len(codecs.BOM_UTF8) if raw.startswith(codecs.BOM_UTF8) else 0
    try:
        return raw[mark:].decode(encoding)
    except UnicodeDecodeError as error:
        offset = mark + error.start
        line = raw[mark:offset].decode(encoding, "ignore").count("\n") + 1
        raise NotTextError(raw[offset], offset, line, encoding) from error
