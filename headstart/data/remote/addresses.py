"""Addresses of data: what one is, and how it is written to people."""

from __future__ import annotations

import os
import re
from typing import Final
from urllib.parse import quote, unquote

UNFETCHED: Final = "is an address, and nothing is fetched from one: save the file itself"
SCHEMES: Final = ("s3", "gs", "http", "https")
_ALSO: Final = {"s3a": "s3", "gcs": "gs"}
_ADDRESS: Final = re.compile(r"([a-z][a-z\d+.-]+):/+(.+)", re.IGNORECASE | re.DOTALL)
_WEB: Final = ("http", "https")
ANONYMOUS: Final = "anonymous"  # who asks without a key, as Arrow writes it


def address(data: str | os.PathLike[str]) -> str:
    """The address that a text or path is, without a slash at its end; empty where it is none.

    Of an address that was made a path one slash of two is left. What a browser alone reads, behind
    `#`, is left out.
    """
    match = _ADDRESS.fullmatch(os.fsdecode(data))
    if match is None:
        return ""
    scheme, rest = match[1].lower(), match[2]
    if scheme in _WEB:
        rest = rest.partition("#")[0]
    plain, mark, query = rest.partition("?") if scheme in _WEB else (rest, "", "")
    return f"{_ALSO.get(scheme, scheme)}://{plain.rstrip('/')}{mark}{query}"


def scheme_of(text: str) -> str:
    """The scheme of an address."""
    return text.partition(":")[0]


def user_of(text: str) -> str:
    """The user that an address names, with the password, as it stands there; `anonymous` is none.

    Keys of S3 hold slashes, and no name of a bucket a colon.
    """
    rest = text.partition("://")[2]
    host = rest.partition("/")[0]
    if scheme_of(text) not in _WEB and ":" in host.partition("@")[0]:
        host = rest
    user = host.rpartition("@")[0]
    return "" if user == ANONYMOUS else user


def shown(text: str) -> str:
    """An address without what may be secret: a query, a user and a password."""
    user = user_of(text)
    plain = text.replace(f"{user}@", "", 1) if user else text
    return plain.partition("?")[0] if scheme_of(text) in _WEB else plain


def parted(text: str) -> tuple[str, str]:
    """The address of the folder that a thing is in, and the thing's name.

    Names on the web may hold slashes, as `folder%2Fa.csv`: what is behind the last one is the name.
    """
    plain = text.partition("?")[0] if scheme_of(text) in _WEB else text
    folder, _, name = plain.rpartition("/")
    return folder, unquote(name).rpartition("/")[2] if scheme_of(text) in _WEB else name


def is_name(path: str) -> bool:
    """Whether a relative path leads to a file below where it begins, whatever the machine."""
    parts = path.split("/")
    return not any(part in ("", ".", "..") or "\\" in part or "\0" in part for part in parts)


def joined(folder: str, name: str) -> str:
    """The address of what has this relative name in a folder."""
    return f"{folder}/{quote(name) if scheme_of(folder) in _WEB else name}"


def below(folder: str, text: str) -> str:
    """The relative name of an address in a folder, empty where it has none there.

    What a server makes of a query has no name.
    """
    start = f"{folder}/"
    rest = text.removeprefix(start) if text.startswith(start) else ""
    if scheme_of(folder) not in _WEB:
        return rest
    return "" if "?" in rest else unquote(rest)
