"""What the hubs have: from an index of earlier listings where nothing has changed since.

Importing this, and listing what the index knows, loads no torch.
"""

from __future__ import annotations

from headstart import catalog
from headstart.contracts.backbone import Card
from headstart.errors import HeadstartError, UnknownNameError
from headstart.listing.filters import Wanted, chosen
from headstart.listing.index import Index, Listed, installed, matches, refreshed
from headstart.runtime.progress import Show, as_progress

ALL = "*"


def backbones(
    pattern: str = ALL, wanted: Wanted | None = None, progress: Show = None
) -> list[Card]:
    """What the hubs have, by shell pattern over `hub:name` or names; opens no connection.

    Names match whole, before their `@`, or exactly before their first dot; case is ignored.
    `wanted` leaves only some of it and puts them in order. A hub whose library is not installed is
    left out and named, unless the pattern is of this hub alone. Raises HeadstartError where nothing
    matches.
    """
    wanted, progress = wanted or Wanted(), as_progress(progress)
    hub, colon, name = pattern.partition(":")
    known = catalog.names("hubs")
    for asked in (hub if colon else None, wanted.hub):
        if asked is not None and asked not in known:
            raise UnknownNameError("hub", asked, known)
    names = [each for each in ([hub] if colon else sorted(known)) if wanted.hub in (None, each)]
    index = Index.read(known)
    cards: list[Card] = []
    with progress.track("listing", len(names)) as advance:
        for each in names:
            found = index.find(each) or _asked(index, each)
            if found.refusal and len(names) == 1:
                raise HeadstartError(found.refusal)
            if found.refusal:
                progress.say(f"{each} is left out: {found.refusal}")
            cards += [card for card in found.cards if matches(card, name if colon else pattern)]
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
    return chosen([refreshed(card) for card in cards], wanted, progress)


def _asked(index: Index, hub: str) -> Listed:
    """What the hub itself says; kept where it says what that depends on."""
    depends: tuple[str, ...] | None = ()
    state = ""
    try:
        made = catalog.hub(hub)
        said = made.cards_depend_on()
        depends = None if said is None else tuple(said)
        state = index.state(hub, depends)  # before its cards: what changes meanwhile is seen
        found = Listed(list(made.cards(ALL)))
    except ImportError as error:
        found = Listed([], f"The package {error.name} is not installed. Install it to use {hub}.")
    except HeadstartError as error:
        found = Listed([], str(error))
    if found.refusal and depends is not None:
        depends = (*depends, *installed())
        state = index.state(hub, depends)
    if depends is not None:
        index.keep(hub, depends, state, found)
    return found
