"""What a server takes on at once, and how long it works on it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import final

from headstart.errors import HeadstartError


@final
@dataclass(frozen=True)
class Limits:
    """What requests are held to.

    `body`, bytes of one request; `bodies`, of all that are worked on; `items`, of one request;
    `explained`, the same where each is explained; `pixels` of a decoded picture; `seconds` for one
    request, its upload among them; `waiting`, items of all requests that are worked on or wait;
    `batch`, items that are joined for one run of the network; `wait`, seconds that these wait for
    others that are being decoded.
    """

    body: int = 32 * 2**20
    bodies: int = 256 * 2**20
    items: int = 256
    explained: int = 8
    pixels: int = 64_000_000
    seconds: float = 30.0
    waiting: int = 512
    batch: int = 32
    wait: float = 0.002

    def demand_sound(self) -> Limits:
        """The same. Raises HeadstartError for what leaves room for nothing."""
        for each in fields(self):
            value = getattr(self, each.name)
            if not (value > 0 or (each.name == "wait" and value == 0)):
                raise HeadstartError(
                    f"The limit {each.name} is {value}, which leaves room for no request. "
                    "Give a larger one."
                )
        return self
