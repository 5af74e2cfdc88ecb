"""What is known of weights' licence and training data, where they were named by another place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from headstart.contracts.references import Reference

if TYPE_CHECKING:
    from headstart.contracts.backbone import Card, Origin


def with_terms(
    origin: Origin, reference: Reference, resolved: Reference, cards: Iterable[Card]
) -> Origin:
    """The origin under the reference that was named, with the terms that its hub's cards list.

    What the loaded weights say themselves, as few hubs read it, counts before that.
    """
    from headstart.loading.weights import header

    origin = replace(origin, reference=str(reference))
    if not (origin.licence and origin.trained_on):
        plain = f"{reference.hub}:{reference.name}"
        card = next((card for card in cards if card.reference == plain), None)
        if card is not None:
            licence, trained_on = origin.licence or card.licence, origin.trained_on
            origin = replace(origin, licence=licence, trained_on=trained_on or card.trained_on)
    entries = header(resolved.weights) if resolved.weights else {}
    return replace(
        origin,
        licence=entries.get("licence", origin.licence),
        trained_on=entries.get("trained_on", origin.trained_on),
    )
