"""Who may ask: a token, and for pages of other sites nobody."""

from __future__ import annotations

import ipaddress
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from headstart.errors import HeadstartError
from headstart.server.refusals import RefusedError

VARIABLE: Final = "HEADSTART_TOKEN"
OPEN: Final = frozenset({"/health", "/ready"})  # which say nothing, and need no token
_SHORTEST: Final = 16  # characters of a token
_OWN_NAMES: Final = frozenset({"127.0.0.1", "localhost", "::1"})


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def token_from(file: str | None) -> str:
    """The token of a file's first line, or of the environment; empty where neither has one.

    Raises HeadstartError for a file that can't be read, and for a token that could be guessed.
    """
    token = os.environ.get(VARIABLE, "").strip()
    if file is not None:
        try:
            token = Path(file).read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "it is no text"
            raise HeadstartError(
                f"{file} can't be read ({reason}). Name a file that holds the token alone."
            ) from None
    if (token or file is not None) and (
        len(token) < _SHORTEST or not token.isascii() or not token.isprintable() or " " in token
    ):
        raise HeadstartError(
            f"The token in {file or VARIABLE} has fewer than {_SHORTEST} signs, or other signs "
            "than plain ones. Make one with: openssl rand -hex 32"
        )
    return token


@final
@dataclass(frozen=True)
class Access:
    """Which requests are heard. Without a token, on this machine's own address, none that comes
    from another site's page, or by another site's name for this address."""

    token: str
    loopback: bool

    def demand(self, path: str, method: str, headers: Mapping[str, str]) -> None:
        """Raise RefusedError, 401 or 403, for what is not heard."""
        if path in OPEN:
            return
        if self.token:
            kind, _, token = headers.get("authorization", "").partition(" ")
            right = secrets.compare_digest(token.strip().encode(), self.token.encode())
            if kind.lower() != "bearer" or not right:
                raise RefusedError(
                    401,
                    "The request has no token, or another one. "
                    "Send the header Authorization: Bearer TOKEN.",
                    {"WWW-Authenticate": "Bearer"},
                )
            return
        host = headers.get("host", "")
        if self.loopback and _name(host) not in _OWN_NAMES:
            raise RefusedError(403, "The address has another name. Ask 127.0.0.1 or localhost.")
        origin = headers.get("origin")
        foreign = origin is not None and origin.partition("://")[2] != host
        if method not in ("GET", "HEAD") and (
            foreign or headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
        ):
            raise RefusedError(403, "The request comes from another site's page. Ask directly.")


def _name(host: str) -> str:
    """A host without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()
