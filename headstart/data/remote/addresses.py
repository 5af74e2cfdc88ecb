"""Addresses of data: what one is, and how it is written to people."""

from __future__ import annotations

import os
import re
from typing import Final
from urllib.parse import quote, unquote, urlsplit, urlunsplit

UNFETCHED: Final = "is an address, and nothing is fetched from one: save the file itself"
SCHEMES: Final = ("s3", "gs", "http", "https")
_ALSO: Final = {"s3a": "s3", "gcs": "gs"}
_ADDRESS: Final = re.compile(r"([a-z][a-z\d+.-]+):/+(.+)", re.IGNORECASE | re.DOTALL)
_WEB: Final = ("http", "https")


def address(data: str | os.PathLike[str]) -> str:
    """The address that a text or path is, without a slash at its end; empty where it is none.

    Of an address that was made a path one slash of two is left.
    """
    match = _ADDRESS.fullmatch(os.fsdecode(data))
    if match is None:
        return ""
    scheme = match[1].lower()
    return f"{_ALSO.get(scheme, scheme)}://{match[2].rstrip('/')}"


def scheme_of(text: str) -> str:
    """The scheme of an address."""
    return text.partition(":")[0]


def shown(text: str) -> str:
    """An address without what may be secret: a query, a user and a password."""
    if scheme_of(text) not in _WEB:
        return text
    parts = urlsplit(text)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def parted(text: str) -> tuple[str, str]:
    """The address of the folder that a thing is in, and the thing's name."""
    plain = text.partition("?")[0] if scheme_of(text) in _WEB else text
    folder, _, name = plain.rpartition("/")
    return folder, unquote(name) if scheme_of(text) in _WEB else name


def joined(folder: str, name: str) -> str:
    """The address of what has this relative name in a folder."""
    return f"{folder}/{quote(name) if scheme_of(folder) in _WEB else name}"


def below(folder: str, text: str) -> str:
    """The relative name of an address in a folder, empty where it is not in it."""
    start = f"{folder}/"
    if not text.startswith(start):
        return ""
    rest = text[len(start) :]
    return unquote(rest.partition("?")[0]) if scheme_of(folder) in _WEB else rest
