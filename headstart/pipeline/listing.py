"""What there is: backbones of all hubs, and strategies."""

from __future__ import annotations

from headstart import catalog
from headstart.contracts import Card
from headstart.errors import HeadstartError


def backbones(pattern: str = "*") -> list[Card]:
    """What the hubs have, by shell pattern over `hub:name` or names; opens no connection.

    Raises HeadstartError where nothing matches.
    """
    hub, colon, name = pattern.partition(":")
    known = catalog.names("hubs")
    if colon and hub not in known:
        catalog.hub(hub)
    wanted = [hub] if colon else sorted(known)
    cards = [
        card for each in wanted for card in catalog.hub(each).cards(name if colon else pattern)
    ]
    if not cards:
        raise HeadstartError(
            f"No backbone matches {pattern!r}. Try a wider pattern, such as '*resnet*'."
        )
    return cards


def strategies() -> dict[str, str]:
    """Every strategy's name and the first line of its documentation."""
    found = {
        name: catalog.part("strategies", name).__doc__ or "" for name in catalog.names("strategies")
    }
    return {name: text.strip().partition("\n")[0] for name, text in sorted(found.items())}
