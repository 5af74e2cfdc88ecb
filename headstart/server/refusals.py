"""Why a request gets no answer, as a status of HTTP and one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headstart.errors import HeadstartError


class RefusedError(HeadstartError):
    """A request that is not answered: a status, and a message that is meant for who asks."""

    def __init__(
        self, status: int, sentence: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(sentence)
        self.status = status
        self.headers = dict(headers or {})


def content(sentence: str) -> dict[str, Any]:
    """What the body of a refusal holds."""
    return {"error": sentence}


def busy(sentence: str, seconds: int) -> RefusedError:
    """The refusal of what there is no room for now."""
    return RefusedError(503, f"{sentence} Try again in {seconds} s.", {"Retry-After": str(seconds)})
