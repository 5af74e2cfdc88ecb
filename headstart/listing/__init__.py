"""What the hubs have: from an index of earlier listings where nothing has changed since.

Importing this, and listing what the index knows, loads no torch.
"""

from __future__ import annotations

from headstart import catalog
from headstart.contracts.backbone import Card
from headstart.errors import HeadstartError, UnknownNameError
from headstart.listing.filters import CardFilter, chosen
from headstart.listing.index import Index, Listed, installed, matches, refreshed
from headstart.runtime.progress import Show, as_progress

ALL = "*"


def backbones(
    pattern: str = ALL, filters: CardFilter | None = None, progress: Show = None
) -> list[Card]:
    """What the hubs have, by shell pattern over `hub:name` or names; opens no connection.

    Names match whole, before their `@`, or exactly before their first dot; case is ignored.
    `filters` leave only some of it and put them in order. A hub whose library is not installed is
    left out and named, unless the pattern is of this hub alone. Raises HeadstartError where nothing
    matches.
    """
    filters, progress = filters or CardFilter(), as_progress(progress)
    hub, colon, name = pattern.partition(":")
    hubs = catalog.names("hubs")
    for own in (hub if colon else None, filters.hub):
        if own is not None and own not in hubs:
            raise UnknownNameError("hub", own, hubs)
    names = [each for each in ([hub] if colon else sorted(hubs)) if filters.hub in (None, each)]
    index = Index.read(hubs)
    cards: list[Card] = []
    with progress.track("listing", len(names)) as advance:
        for each in names:
            listed = index.find(each) or _fresh_listing(index, each)
            if listed.refusal and len(names) == 1:
                raise HeadstartError(listed.refusal)
            if listed.refusal:
                progress.say(f"{each} is left out: {listed.refusal}")
            cards += [card for card in listed.cards if matches(card, name if colon else pattern)]
            advance(1)
    index.write()
    if colon and (
        "@" in name or not cards
    ):  # hubs know sets of weights by names that their cards don't show
        cards = list(catalog.hub(hub).cards(name))
    if not cards:
        raise HeadstartError(
            f"No backbone matches {pattern!r}. Try a wider pattern, such as '*resnet*'."
        )
    return chosen([refreshed(card) for card in cards], filters, progress)


def _fresh_listing(index: Index, hub: str) -> Listed:
    """What the hub itself says; kept where it says what that depends on."""
    depends: tuple[str, ...] | None = ()
    state = ""
    try:
        instance = catalog.hub(hub)
        sources = instance.cards_depend_on()
        depends = None if sources is None else tuple(sources)
        state = index.state(hub, depends)  # before its cards: what changes meanwhile is seen
        listed = Listed(list(instance.cards(ALL)))
    except ImportError as error:
        listed = Listed([], f"The package {error.name} is not installed. Install it to use {hub}.")
    except HeadstartError as error:
        listed = Listed([], str(error))
    if listed.refusal and depends is not None:
        depends = (*depends, *installed())
        state = index.state(hub, depends)
    if depends is not None:
        index.keep(hub, depends, state, listed)
    return listed
